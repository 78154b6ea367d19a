# file: common/fdpass.c
# tests: 10.8
/MSG_TRUNC | MSG_CTRUNC/,/EBADMSG/s/fdpass_close(got, have);//
