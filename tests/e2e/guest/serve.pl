# In the guest: TCP port 80 echoes lines at once, and what is more than a line when its sender
# is done; UDP port 5400 echoes.
use strict;
use Socket;

my ($udp, $tcp);
socket($udp, PF_INET, SOCK_DGRAM, 0) && bind($udp, sockaddr_in(5400, INADDR_ANY)) or die;
if (!fork) {
    while (defined(my $from = recv($udp, my $data, 65536, 0))) { send($udp, $data, 0, $from) }
    exit;
}
$SIG{CHLD} = 'IGNORE';
socket($tcp, PF_INET, SOCK_STREAM, 0) && setsockopt($tcp, SOL_SOCKET, SO_REUSEADDR, 1)
    && bind($tcp, sockaddr_in(80, INADDR_ANY)) && listen($tcp, 16) or die;
while (accept(my $client, $tcp)) {
    next if fork;
    my $all = '';
    while (sysread($client, my $data, 65536)) {
        $all .= $data;
        syswrite($client, $data), $all = '' if length $all < 1000;
    }
    for (my $at = 0; $at < length $all;) { $at += syswrite($client, $all, 65536, $at) or die }
    exit;
}
