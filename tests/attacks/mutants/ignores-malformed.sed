# file: priv-helper/worker.c
# tests: 6.1 10.5 10.13 35.1
s/die_if(n < 0 || !worker_request_ok(&in\.request, (size_t) n, count, number),/if (n < 0 || !worker_request_ok(\&in.request, (size_t) n, count, number)) continue;\n        die_if(0,/
