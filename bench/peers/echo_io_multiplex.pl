#!/usr/bin/perl
# Every byte comes back, with IO::Multiplex.
package Echo;

use strict;
use warnings;

sub mux_input {
    my ($class, $mux, $client, $input) = @_;
    $mux->write($client, $$input);
    $$input = '';
}

# What is still in its queue goes out first.
sub mux_eof { $_[1]->shutdown($_[2], 1) }

package main;

use strict;
use warnings;
use IO::Multiplex;
use IO::Socket::INET;

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 4096)
    or die "cannot listen: $!\n";
$| = 1;
printf "listening on 127.0.0.1:%d\n", $listener->sockport;
my $mux = IO::Multiplex->new;
$mux->listen($listener);
$mux->set_callback_object('Echo');
$mux->loop;
