#!/usr/bin/perl
# Every byte comes back, with Danga::Socket.
package Client;

use strict;
use warnings;
use base 'Danga::Socket';

sub event_read {
    my ($self) = @_;
    my $data = $self->read(65536);
    return $self->close unless defined $data;
    $self->write($data);
}

sub event_err { $_[0]->close }
sub event_hup { $_[0]->close }

package main;

use strict;
use warnings;
use IO::Socket::INET;

$SIG{PIPE} = 'IGNORE';
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 4096,
    Blocking => 0) or die "cannot listen: $!\n";
$| = 1;
printf "listening on 127.0.0.1:%d\n", $listener->sockport;
Danga::Socket->AddOtherFds(fileno $listener, sub {
    my $socket = $listener->accept or return;
    $socket->blocking(0);
    setsockopt $socket, 6, 1, 1;    # TCP_NODELAY
    Client->new($socket)->watch_read(1);
});
Danga::Socket->EventLoop;
