# Published ports: TCP and UDP, both families, through everything that can end meanwhile.
# shellcheck shell=bash

client() { python3 tests/e2e/publish.py "$@" 2>/dev/null; }
refuses() { ! (: <"/dev/tcp/$1/$2") 2>/dev/null; }
forward_pid() { pgrep -u alice -x banger-forward; }

# --- what cannot be published is said before anything is made ----------------------------
for spec in 80 80x:80 0:80 65536:80 8080:0 8080:080 1.2.3:8080:80 ::1:8080:80 8080:80/sctp a:8080:80 '[::1:8080:80'; do
    capture alice vm create --publish "$spec"
    equal "--publish $spec is refused" "$status" 2
done
contains "a bad port is explained" "$err" "the form is [IP:]HOST:GUEST[/udp]"
capture alice vm create --publish 8080:80 --publish 8080:81
equal "one port twice is refused" "$status" 1
capture alice vm create --publish 80:80
contains "a privileged port is explained" "$err" "port 80 is privileged"
capture alice vm create --publish 192.0.2.1:8080:80
contains "an address that is not here is explained" "$err" "this host has no address 192.0.2.1"
coproc taken { client bind 127.0.0.1 8080; }
read -r _ <&"${taken[0]}"
capture alice vm create --name late --publish 8080:80
contains "a port that is taken is explained" "$err" "TCP port 8080 of localhost is taken by another program"
capture alice vm create --name late --publish 8080:80 --no-start
equal "also when the VM is not to be started" "$status" 1
equal "and nothing was made" "$(alice vm list --json | jq '.vms | length')" 0
held=$taken_PID
eval "exec ${taken[1]}>&-"
wait "$held" 2>/dev/null

# --- TCP and UDP, both families ------------------------------------------------------------
alice vm create --name web --memory 512M --publish 8080:80 -p 5353:5400/udp >/dev/null 2>&1
alice vm exec web -- sh -c 'cat >/root/serve.pl; setsid perl /root/serve.pl >/dev/null 2>&1 </dev/null & sleep 1' <tests/e2e/guest/serve.pl
equal "vm show --json has the ports" "$(alice vm show web --json | jq -c '.publish[0]')" \
    '{"address":"localhost","host_port":8080,"guest_port":80,"protocol":"tcp"}'
contains "vm show has them for people" "$(alice vm show web)" "localhost:8080->80/tcp localhost:5353->5400/udp"
check "TCP over 127.0.0.1" until_true 20 client line 127.0.0.1 8080
check "TCP over ::1" client line ::1 8080
check "4 MiB and a half-closed connection" client echo 127.0.0.1 8080
check "UDP over 127.0.0.1" client datagram 127.0.0.1 5353
check "UDP over ::1" client datagram ::1 5353
capture alice vm ports web
contains "vm ports names program and endpoint" "$(echo "$out" | tr -s ' ')" "web tcp 0.0.0.0 80 perl web.vm:80 http://web.vm:80 localhost:8080"
contains "of UDP too" "$(echo "$out" | tr -s ' ')" "web udp 0.0.0.0 5400 perl web.vm:5400 - localhost:5353"
equal "vm ports --json" "$(alice vm ports web --json | jq -c '.vms[0].ports[] | select(.port == 80) | .published')" \
    '[{"address":"localhost","port":8080}]'
capture alice vm ports nobody web
equal "one that is not there fails" "$status" 1
contains "and does not stop the others" "$out" "web.vm:80"
gateway=$(alice vm show web --json | jq -r .address | sed 's/\.[0-9]*$/.1/')
check "it is on the loopback alone" refuses "$gateway" 8080

# --- changes while it runs ------------------------------------------------------------------
contains "vm publish" "$(alice vm publish web 127.0.0.1:8081:81)" "127.0.0.1:8081->81/tcp"
check "where nobody listens in the guest a connection is reset" client reset 127.0.0.1 8081
alice vm publish web 127.0.0.1:8082:80 >/dev/null
check "another port of the same" client line 127.0.0.1 8082
alice vm publish web --remove 127.0.0.1:8081:81 127.0.0.1:8082:80 >/dev/null
check "vm publish --remove" refuses 127.0.0.1 8082
capture alice vm publish web --remove 127.0.0.1:8082:80
contains "what is not published cannot be removed" "$err" "is not published"
capture alice vm create --name late --publish 127.0.0.1:8080:80
contains "a port of another VM is explained" "$err" "taken by VM web"
equal "and nothing was made then" "$(alice vm list --json | jq -r '.vms[].name')" web

# --- who ends meanwhile -----------------------------------------------------------------------
coproc held { client hold 127.0.0.1 8080; }
read -r _ <&"${held[0]}"
say() {
    echo "$1" >&"${held[1]:-2}"
    read -r -t 10 answer <&"${held[0]:-0}" && [ "$answer" = "$1" ]
}
check "a connection that stays" say one
kill -9 "$(alice daemon status --json | jq -r .pid)"
check "goes on when the engine is killed" say two
check "and with the next engine" until_true 10 alice daemon status --json
check "too" say three
contains "which knows what is there already" "$(alice vm publish web 8083:80)" "localhost:8083->80/tcp"
check "and opens more" client line ::1 8083
ended=${held_PID:-}
kill -9 "$(forward_pid)"
eval "exec ${held[1]:-9}>&-"
wait "$ended" 2>/dev/null
check "banger-forward killed: the ports are back" until_true 10 client line 127.0.0.1 8080
check "UDP too" client datagram ::1 5353
alice daemon stop >/dev/null
check "without a daemon nobody listens" until_true 10 refuses 127.0.0.1 8080
alice daemon status >/dev/null
check "a new daemon has them back" client line ::1 8080

# --- a stopped VM holds none --------------------------------------------------------------------
alice vm stop web >/dev/null 2>&1
check "vm stop frees them" refuses 127.0.0.1 8080
coproc taken { client bind 127.0.0.1 8083; }
read -r _ <&"${taken[0]}"
capture alice vm start web
contains "a start without its port is refused" "$err" "TCP port 8083 of localhost is taken by another program"
equal "and the VM is as before" "$(alice vm show web --json | jq -r .state)" stopped
check "nor does it hold the others" refuses 127.0.0.1 8080
held=$taken_PID
eval "exec ${taken[1]}>&-"
wait "$held" 2>/dev/null
alice vm delete -f web >/dev/null
check "alice has nothing left" until_true 10 nothing_left alice
