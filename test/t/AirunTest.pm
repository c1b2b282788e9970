# AirunTest: what every TAP script of airun starts with.
#
#	use AirunTest;
#	my $node = airun_node('primary');
#	is($node->safe_psql('postgres', 'select ...'), '...', 'what it shows');
#
# A node finds the extension in the stage that test/run made, or, under a plain
# "make installcheck", in the server's own folders.

package AirunTest;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(airun_node stage_node conversation_files);

# Makes a node find the staged extension; a backup of it does so already.
sub stage_node
{
	my ($node) = @_;

	$node->append_conf('postgresql.conf', slurp_file($ENV{AIRUN_STAGE_CONF}))
	  if $ENV{AIRUN_STAGE_CONF};
}

# A new node, started, with the extension and its store in database postgres.
# Options: conf => lines for postgresql.conf; store => 0 leaves the database
# empty; all others go to init(), such as allows_streaming => 1.
sub airun_node
{
	my ($name, %option) = @_;
	my $conf = delete $option{conf};
	my $store = delete $option{store} // 1;

	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ], %option);
	stage_node($node);
	$node->append_conf('postgresql.conf', $conf) if defined $conf;
	$node->start;
	$node->safe_psql('postgres', 'create extension airun; select airun_install()')
	  if $store;
	return $node;
}

# The files of conversations to test with: the real ones where they are, else
# the sample that the repository ships.
sub conversation_files
{
	my @files = $ENV{AIRUN_DATA} ? glob("$ENV{AIRUN_DATA}/conversations-*.jsonl") : ();

	return @files ? @files : ('test/sample.jsonl');
}

1;
