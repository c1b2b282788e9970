# The original application's clients, which read an array of messages, add to it and
# write it back, in several tabs at once: nothing is lost, and each message is stored
# once, in its tab's order, also where a save is sent twice.  They end tasks beside it,
# and others use the functions for the same run: nobody meets a deadlock, and all
# totals are right.

use strict;
use warnings;

use AirunTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $tabs = 8;
my $saves = 25;
my $node = airun_node('original', conf => "max_connections = 40\n");
my $run = numbered_id(1, 1);

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(<<"SQL");
CREATE ROLE app;
SELECT airun_grant('app');
SELECT airun_install_original('original');
SET airun.user_id = 'ann';
INSERT INTO original.ai_runs (id, user_id, source_type, messages, settings) VALUES ('$run', airun_user_id(), 'prompts', '[]', '{}');
SQL

my $session = <<'SQL';
SET ROLE app;
SET airun.user_id = 'ann';
SQL

# A tab: it reads, is overtaken or not, and writes its own array back.  With a copy
# of its own it does not even read again.
sub tab
{
	my ($tab, $rereads) = @_;
	my $script = $session;

	$script .= "SELECT '[]' AS mine \\gset\n";
	for my $number (1 .. $saves)
	{
		$script .= "SELECT messages AS mine FROM original.ai_runs WHERE id = '$run' \\gset\n"
		  if $rereads;
		$script .= <<"SQL";
SELECT :'mine'::jsonb || '[{"role": "user", "content": "tab $tab, save $number", "tab": $tab, "number": $number}]' AS mine \\gset
UPDATE original.ai_runs SET messages = :'mine' WHERE id = '$run';
SQL
	}
	return $script;
}

# A client of the functions, and one that makes tasks and streams, all of the same run
my $functions = $session . join '', map { <<"SQL" } 1 .. $saves;
SELECT airun_append_message('$run', '{"role": "user", "content": "a function", "tab": 0, "number": $_}') IS NULL;
SQL
my $tasks = $session . join '', map { my $task = numbered_id(2, $_); <<"SQL" } 1 .. $saves;
INSERT INTO original.ai_tasks (run_id, task_id, service, status) VALUES ('$run', '$task', 'chat_service', 'pending');
UPDATE original.ai_tasks SET status = 'streaming', response_text = 'so', tool_updates = '[1]' WHERE task_id = '$task';
UPDATE original.ai_tasks SET status = 'completed', response_text = 'so far', response_complete = true, tokens_total = 3, response_metadata = '{"m": 1}' WHERE task_id = '$task';
SQL

# The other tab of the same task, whose saves come late
my $late = $session . join '', map { my $task = numbered_id(2, $_); <<"SQL" } 1 .. $saves;
UPDATE original.ai_tasks SET status = 'streaming', response_text = 's', tool_updates = '[1]' WHERE task_id = '$task';
SQL

for my $rereads (1, 0)
{
	my $name = $rereads ? 'tabs that read again' : 'tabs with a copy of their own';
	my $before = sql("SELECT COALESCE(max(seq), 0) FROM airun.messages WHERE run_id = '$run'");
	my @scripts = map { tab($_ + 100 * $rereads, $rereads) } 1 .. $tabs;

	push @scripts, $functions, $tasks, $late if $rereads;
	my (undef, $errors) = run_clients($node, \@scripts);
	is(counts($errors), 'none', "$name: no error");
	is(sql(<<"SQL"), ($tabs * $saves) . '|' . ($tabs * $saves) . '|t', "$name: each message once, in its tab's order");
SELECT count(*), count(DISTINCT (tab, number)), bool_and(number = before + 1)
FROM (SELECT m.message ->> 'tab' AS tab, (m.message ->> 'number')::int AS number,
		lag((m.message ->> 'number')::int, 1, 0) OVER (PARTITION BY m.message ->> 'tab' ORDER BY m.seq) AS before
	FROM airun.messages AS m WHERE m.run_id = '$run' AND m.seq > $before AND m.message ->> 'tab' <> '0') AS m
SQL
	proven('messages of tabs that write the whole array back', $tabs * $saves);
}

# A tab that sends each save twice at once: stored once
my (undef, $errors) = run_clients($node, [ (tab(300, 0)) x 2 ]);
is(counts($errors), 'none', 'saves that are sent twice at once: no error');
is(sql("SELECT count(*) FROM airun.messages WHERE run_id = '$run' AND message ->> 'tab' = '300'"),
	$saves, 'saves that are sent twice at once: each is stored once');

is(sql("SELECT message_count, task_count, total_tokens FROM airun.runs WHERE id = '$run'"),
	join('|', (2 * $tabs + 2) * $saves, $saves, 3 * $saves), 'nothing else, and all that others did');
is(sql("SELECT count(*) FROM original.ai_tasks WHERE response_text = 'so far' AND status = 'completed' AND tool_updates = '[1]' AND response_metadata = '{\"m\": 1}'"),
	$saves, 'each task has ended as it was told');
is(sql('SELECT sum(deadlocks) FROM pg_stat_database'), 0, 'no deadlock');
check_ok($node, 'after the tabs');

done_testing();
