#!/usr/bin/perl
# The work of the benchmarks under Net::Server:  net_server.pl Single|Fork|PreFork [key value ...]
# The client's handle is used as it is, not bound to STDIN and STDOUT: the faster of its two ways,
# and the one that tend's side takes as well.
package Bench;

use strict;
use warnings;

our @ISA;
my $answer = "the quick brown fox jumps over the lazy dog, 64 bytes at a time\n";

sub process_request {
    my ($self, $client) = @_;
    print {$client} $answer if defined <$client>;
}

my ($personality, %options) = @ARGV;
die "usage: $0 Single|Fork|PreFork [KEY VALUE ...]\n"
    if !defined $personality || $personality !~ /^(?:Single|Fork|PreFork)$/;
require "Net/Server/$personality.pm";
@ISA = ("Net::Server::$personality");
@ARGV = ();
Bench->run(port => '127.0.0.1:0', no_client_stdout => 1, log_level => 2, %options);
