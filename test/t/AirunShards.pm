# AirunShards: shards with a proxy, for TAP scripts.
#
#	my $shards = AirunShards->new('name', shards => 2) or plan(skip_all => ...);
#	$shards->{proxy}		the node with the proxy, in its database "proxy"
#	$shards->on(1, $sql)	what shard 1 says
#	$shards->stores			pairs of node and database
#
# In the quick form the shards are databases of the proxy's server, in the long one
# each is a server.  PL/Proxy is the server's own where it has one; else Debian's
# package is unpacked into a private folder, and where there is none, new() returns
# nothing.  So it is with PgBouncer, which is not unpacked.

package AirunShards;

use strict;
use warnings;

use AirunTest;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Those that run, also where a test dies
my %pools;
END
{
	local $?;
	$_->signal('TERM') for values %pools;
}

# PL/Proxy, in a database, without its extension's files
sub create_language
{
	my ($node, $database, $library) = @_;

	$node->safe_psql($database, <<"END");
CREATE FUNCTION plproxy_call_handler() RETURNS language_handler AS '$library', 'plproxy_call_handler' LANGUAGE C;
CREATE FUNCTION plproxy_validator(oid) RETURNS void AS '$library', 'plproxy_validator' LANGUAGE C;
CREATE LANGUAGE plproxy HANDLER plproxy_call_handler VALIDATOR plproxy_validator;
CREATE FUNCTION plproxy_fdw_validator(text[], oid) RETURNS boolean AS '$library', 'plproxy_fdw_validator' LANGUAGE C;
CREATE FOREIGN DATA WRAPPER plproxy VALIDATOR plproxy_fdw_validator;
END
}

# Options: shards => how many; pool => 1 for PgBouncer before the proxy and before the
# shards; roles => SQL that is run on each server first; one_server => 1 for databases of one
# server in any form; filled => 1 to have all buckets on shard 0.  The proxy's functions are in
# the schema public.
sub new
{
	my ($class, $name, %option) = @_;
	my $conf = "max_connections = 100\nclient_min_messages = warning\n";
	my $proxy = airun_node($name, conf => $conf, store => 0);
	my $library = debian_library($proxy, 'plproxy');
	my @shards = 0 .. $option{shards} - 1;
	my $self = bless { proxy => $proxy, nodes => [], databases => [ map { "shard$_" } @shards ] }, $class;

	if (!$library)
	{
		$proxy->stop;
		return;
	}
	$self->{nodes}[$_] = $ENV{AIRUN_LONG} && !$option{one_server} ? airun_node("${name}_shard$_", conf => $conf, store => 0) : $proxy for @shards;
	$_->safe_psql('postgres', "CREATE ROLE airun_proxy LOGIN NOINHERIT;\n" . ($option{roles} // '')) for $self->servers;
	for (@shards)
	{
		$self->{nodes}[$_]->safe_psql('postgres', "CREATE DATABASE shard$_");
		$self->on($_, 'CREATE EXTENSION airun; SELECT airun_install(), airun_install_shard()');
	}
	$proxy->safe_psql('postgres', 'CREATE DATABASE proxy');
	create_language($proxy, 'proxy', $library);
	my @connections = map { $self->{nodes}[$_]->connstr("shard$_") } @shards;
	@connections = $self->start_pool(@connections) if $option{pool};
	$self->on(0, "SELECT airun_create_run(user_id => airun_uuid())") if $option{filled};
	$self->call('CREATE SCHEMA airun_lib; CREATE EXTENSION airun SCHEMA airun_lib;'
		. 'SELECT airun_lib.airun_install_proxy(ARRAY[' . join(', ', map { "'" . s/'/''/gr . "'" } @connections) . '])');
	$self->on(0, 'DELETE FROM airun.runs') if $option{filled};
	return $self;
}

# Each server once
sub servers
{
	my ($self) = @_;
	my %seen;

	return grep { !$seen{$_}++ } $self->{proxy}, @{ $self->{nodes} };
}

sub stores { my ($self) = @_; return map { [ $self->{nodes}[$_], $self->{databases}[$_] ] } 0 .. $#{ $self->{nodes} }; }
sub on { my ($self, $shard, $sql) = @_; return $self->{nodes}[$shard]->safe_psql($self->{databases}[$shard], $sql); }
sub call { my ($self, $sql, %option) = @_; return $self->{proxy}->safe_psql('proxy', $sql, %option); }

# So many users, the first ones of which are on the shards in turn
sub users
{
	my ($self, $count) = @_;
	my $shards = @{ $self->{nodes} };

	return split /\n/, $self->call(<<"END");
SELECT u FROM (
	SELECT u, airun_bucket(u) % $shards AS shard, row_number() OVER (PARTITION BY airun_bucket(u) % $shards ORDER BY u) AS place
	FROM (SELECT format('00000000-0000-4000-8000-%s', lpad(i::text, 12, '0'))::uuid AS u FROM generate_series(1, 10 * $count) AS i) AS x) AS y
ORDER BY place, shard LIMIT $count
END
}

# What airun_check() finds on all shards
sub problems
{
	my ($self) = @_;

	return join '', map { $self->on($_, 'SELECT airun_rollup(); SELECT * FROM airun_check(); SELECT * FROM airun_check_usage()') =~ s/^\d+\n?//r } 0 .. $#{ $self->{nodes} };
}

# Starts PgBouncer, in transaction mode, with few connections to each database, and
# returns the connection strings of these stores through it.  Clients come to the proxy
# by $self->{pooled}.
sub start_pool
{
	my ($self, @connections) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir_short();
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my ($out, %to) = ('');

	$to{"shard$_"} = $connections[$_] for 0 .. $#connections;
	$to{proxy} = $self->{proxy}->connstr('proxy');
	append_to_file("$dir/users", join '', map { "\"$_\" \"\"\n" } qw(airun_proxy client), getpwuid($>));
	append_to_file("$dir/ini", "[databases]\n" . join('', map { "$_ = $to{$_}\n" } sort keys %to) . <<"END");
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $dir
auth_type = trust
auth_file = $dir/users
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
server_login_retry = 1
ignore_startup_parameters = extra_float_digits,options
logfile = $dir/log
END
	chomp($ENV{PGBOUNCER} = `command -v pgbouncer || ls /usr/sbin/pgbouncer`) if !$ENV{PGBOUNCER};
	$self->{pool} = IPC::Run::start([ $ENV{PGBOUNCER}, '-q', "$dir/ini" ], '<', '/dev/null', '>&', \$out);
	$pools{$port} = $self->{pool};
	$self->{pooled} = "host=$dir port=$port dbname=proxy user=client";
	return map { "host=$dir port=$port dbname=shard$_" } 0 .. $#connections;
}

sub stop_pool
{
	my ($self) = @_;

	delete @pools{ grep { $pools{$_} == $self->{pool} } keys %pools };
	$self->{pool}->signal('TERM');
	IPC::Run::finish($self->{pool});
}

1;
