# What happens at the limits: the largest message, answer, array and run, each at
# its limit and just over it; more tasks in a statement than there are locks; a
# disk that is full; and lock_timeout, statement_timeout and
# idle_in_transaction_session_timeout in each function that writes, with the
# locks that it needs in another session's hands.  After each: the SQLSTATE that
# PostgreSQL's users know, nothing changed, airun_check() without a row, and the
# same call works in the same session.

use strict;
use warnings;

use AirunTest;
use PostgreSQL::Test::Utils;
use Test::More;

# A library that makes the server's files under base/ unable to grow while the
# file $full is there: a full disk without the rights to make one.
my $dir = PostgreSQL::Test::Utils::tempdir();
my $full = "$dir/full";
my $shim = "$dir/full_disk.so";
append_to_file("$dir/full_disk.c", <<'END');
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int
is_full(int fd, off_t end)
{
	char		link[64];
	char		path[4096];
	ssize_t		len;
	struct stat st;

	if (access(FULL, F_OK) != 0 || fstat(fd, &st) != 0 || end <= st.st_size)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return 0;
	path[len] = 0;
	return strstr(path, "/base/") != NULL;
}

static size_t
total(const struct iovec *iov, int count)
{
	size_t		size = 0;

	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	return size;
}

#define REAL(name, ...) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))(__VA_ARGS__)
#define REFUSE(fd, end) if (is_full(fd, end)) { errno = ENOSPC; return -1; }

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{ REFUSE(fd, at + size) return REAL(pwrite, fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{ REFUSE(fd, at + size) return REAL(pwrite64, fd, data, size, at); }
ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at)
{ REFUSE(fd, at + total(iov, count)) return REAL(pwritev, fd, iov, count, at); }
ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t at)
{ REFUSE(fd, at + total(iov, count)) return REAL(pwritev64, fd, iov, count, at); }
int posix_fallocate(int fd, off_t at, off_t size)
{ if (is_full(fd, at + size)) return ENOSPC; return REAL(posix_fallocate, fd, at, size); }
int posix_fallocate64(int fd, off64_t at, off64_t size)
{ if (is_full(fd, at + size)) return ENOSPC; return REAL(posix_fallocate64, fd, at, size); }
END
my $has_shim = system("cc -shared -fPIC -O1 -D_LARGEFILE64_SOURCE -DFULL='\"$full\"' -o $shim $dir/full_disk.c -ldl 2>$dir/cc.err") == 0;

my $node;
{
	local $ENV{LD_PRELOAD} = join ' ', grep { defined } $ENV{LD_PRELOAD}, $has_shim ? $shim : undef;
	$node = airun_node('limits', conf => <<'END');
max_connections = 90
max_locks_per_transaction = 10
autovacuum = off
max_wal_size = 8GB
checkpoint_timeout = 1h
END
}
$ENV{PGOPTIONS} = '-c airun.user_id=10000000-0000-4000-8000-000000000001';

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub run_id { return numbered_id(1, $_[0]); }
sub task_id { return numbered_id(2, $_[0]); }

sub session
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	ask($session, '\set VERBOSITY sqlstate');
	return $session;
}

# A digest of all rows of the store
sub store
{
	return sql("SELECT md5(string_agg(x, '' ORDER BY x)) FROM (" . join(' UNION ALL ',
			map { "SELECT '$_' || t::text FROM airun.$_ AS t" } qw(runs messages message_versions tasks task_chunks calls prices price_book)) . ') AS s (x)');
}

#--- sizes ---------------------------------------------------------------------------

# What there is, without reading what is large
sub figures
{
	return sql('SELECT (SELECT array[count(*), sum(message_count), sum(task_count)] FROM airun.runs), (SELECT max(updated_at) FROM airun.runs),
		(SELECT count(*) FROM airun.messages), (SELECT array[count(*), sum(response_length)] FROM airun.tasks), (SELECT max(updated_at) FROM airun.tasks),
		(SELECT array[count(*), sum(bytes)] FROM airun.task_chunks)');
}

# A message of exactly so many bytes more than the limit
sub message
{
	my ($more) = @_;
	return "jsonb_build_object('role', 'assistant', 'content', repeat('x', (pg_size_bytes('16 MB') + $more
		- pg_column_size('{\"role\": \"assistant\", \"content\": \"\"}'::jsonb))::int))";
}

my $session = session();
ask($session, 'SELECT airun_create_run(id => ' . "'" . run_id($_) . "')") for 1 .. 4;
ask($session, "SELECT airun_create_task('" . run_id(1) . "', '" . task_id($_) . "')") for 1 .. 3;
my $limits = 0;
for my $door (
	[ 'airun_append_message()', "SELECT 1 FROM airun_append_message('" . run_id(1) . "', %s)" ],
	[ 'airun_append_messages()', "SELECT count(*) FROM airun_append_messages('" . run_id(1) . "', jsonb_build_array(%s))" ],
	[ 'airun_save_message()', "SELECT 1 FROM airun_save_message('" . run_id(1) . "', %s, 'm')" ],
	[ 'airun_start_turn()', "SELECT 1 FROM airun_start_turn('" . run_id(1) . "', %s)" ],
	[ 'airun_finish_turn()', "SELECT 1 FROM airun_finish_turn('" . task_id(1) . "', %s)" ],
	[ 'INSERT INTO ai_messages', "INSERT INTO ai_messages (run_id, message) SELECT '" . run_id(1) . "', %s RETURNING 1" ],
	[ 'INSERT INTO airun.messages', "INSERT INTO airun.messages (run_id, message) SELECT '" . run_id(1) . "', %s RETURNING 1" ])
{
	my ($name, $command) = @$door;
	my $before = figures();
	is(ask($session, sprintf $command, message(1)), 'ERROR: PT422', "$name: a message of 16 MB and a byte is PT422");
	is(figures(), $before, 'and nothing has changed');
	is(ask($session, sprintf $command, message(0)), '1', 'one of 16 MB is taken');
	$limits++;
}
is(ask($session, "SELECT airun_finish_turn('" . task_id(2) . "', response_text => repeat('x', 16777216))"), 'ERROR: PT422',
	'the message that airun_finish_turn() makes of a text has that limit');
is(ask($session, "SELECT response_length FROM airun_complete_task('" . task_id(2) . "', repeat('x', 16777216))"), '16777216', 'and a task that ends alone has not');
# the range of the setting
is(ask($session, "SET airun.max_message_size = '262145kB'"), 'ERROR: 22023', 'the limit can be 256 MB and no more');
is(ask($session, "SET airun.max_message_size = '1kB'; SELECT 1 FROM airun_append_message('" . run_id(1) . "', '{\"role\": \"user\", \"content\": \"x\"}')"), '1', 'and 1 kB');
is(ask($session, "SELECT airun_append_message('" . run_id(1) . "', jsonb_build_object('role', 'user', 'content', repeat('x', 1000)))"), 'ERROR: PT422', 'which then holds');
ask($session, 'RESET airun.max_message_size');

# An answer, saved as it comes: 256 MB but a byte
my $most = 256 * 1024 * 1024 - 1;
is(ask($session, "SELECT response_length FROM airun_stream_delta('" . task_id(3) . "', repeat('x', $most - 10), 0)"), $most - 10, 'an answer of 256 MB');
{
	my $before = figures();
	is(ask($session, "SELECT response_length FROM airun_stream_delta('" . task_id(3) . "', repeat('x', 12), $most - 10)"), 'ERROR: PT422', 'no byte more by airun_stream_delta()');
	is(ask($session, "SELECT response_length FROM airun_update_task('" . task_id(3) . "', repeat('x', $most + 1))"), 'ERROR: PT422', 'nor by airun_update_task()');
	is(ask($session, "SELECT status FROM airun_complete_task('" . task_id(3) . "', repeat('x', $most + 1))"), 'ERROR: PT422', 'nor by airun_complete_task()');
	is(figures(), $before, 'and nothing has changed');
}
is(ask($session, "SELECT response_length FROM airun_stream_delta('" . task_id(3) . "', 'xxxxxxxxxx', $most - 10)"), $most, 'the last bytes');
is(ask($session, "SELECT length(text), position FROM airun_stream_read('" . task_id(3) . "', $most - 3)"), "3|$most", 'are read');
is(ask($session, "SELECT status, response_length FROM airun_complete_task('" . task_id(3) . "')"), "completed|$most", 'and it ends');
$limits++;

# The array of a run: 256 MB as jsonb, more as text
is(ask($session, "SELECT count(m.seq) FROM generate_series(1, 15) AS i, airun_append_message('" . run_id(2) . "', " . message('i - i') . ') AS m'), '15', '15 messages of 16 MB');
is(ask($session, "SELECT jsonb_array_length(messages) FROM ai_runs WHERE id = '" . run_id(2) . "'"), '15', 'are an array');
is(ask($session, "SELECT seq FROM airun_append_message('" . run_id(2) . "', " . message(0) . ')'), '16', 'another one is taken');
is(ask($session, "SELECT jsonb_array_length(messages) FROM ai_runs WHERE id = '" . run_id(2) . "'"), 'ERROR: 54000', 'of which there is no array any more');
is(ask($session, "SELECT message_count FROM ai_runs WHERE id = '" . run_id(2) . "'"), '16', 'but a row without it');
is(ask($session, "SELECT length(airun_messages('" . run_id(2) . "')::text) > 256 * 1024 * 1024"), 't', 'and the text of all');
is(ask($session, "SELECT json_array_length(airun_messages('" . run_id(2) . "', 8))"), '8', 'and parts');
$limits++;
SKIP:
{
	skip 'a text of 1 GB is for the long run', 3 unless quick_or_long(0, 1);
	ask($session, "SELECT count(*) FROM generate_series(17, 64) AS i, airun_append_message('" . run_id(2) . "', " . message('i - i') . ') AS m');
	is(ask($session, "SELECT length(airun_messages('" . run_id(2) . "')::text)"), 'ERROR: 54000', 'a text of 1 GB is too much');
	is(ask($session, "SELECT length(airun_messages('" . run_id(2) . "', max_messages => 60)::text) > 900000000"), 't', 'one of 0.9 GB is not');
	is(ask($session, "SELECT seq FROM airun_append_message('" . run_id(2) . "', '{\"role\": \"user\", \"content\": \"x\"}')"), '65', 'and the run goes on');
	$limits++;
}

# The number of messages: 100,000 in a call, without an end in a run
my $many = "(SELECT jsonb_agg(jsonb_build_object('role', 'user', 'content', 'x')) FROM generate_series(1, %d))";
{
	my $before = figures();
	is(ask($session, "SELECT count(*) FROM airun_append_messages('" . run_id(3) . "', " . sprintf($many, 100_001) . ')'), 'ERROR: PT422', '100,001 messages in a call are PT422');
	is(figures(), $before, 'and nothing has changed');
	my $calls = quick_or_long(1, 10);
	is(ask($session, "SELECT max(seq) FROM airun_append_messages('" . run_id(3) . "', " . sprintf($many, 100_000) . ')'), 100_000 * $_, "call $_ of 100,000 messages") for 1 .. $calls;
	is(ask($session, "SELECT seq FROM airun_append_message('" . run_id(3) . "', '{\"role\": \"user\", \"content\": \"last\"}')"), 100_000 * $calls + 1, 'and one more');
	is(ask($session, "SELECT jsonb_array_length(messages), messages -> -1 ->> 'content' FROM ai_runs WHERE id = '" . run_id(3) . "'"), 100_000 * $calls + 1 . '|last', 'all in the array');
	is(ask($session, "SELECT airun_messages('" . run_id(3) . "', max_messages => 1, from_end => true)::jsonb -> 0 ->> 'content'"), 'last', 'and the last by itself');
	$limits++;
}

# Locks: each streaming task that a statement removes takes one
ask($session, "SELECT count(airun_stream_delta(task_id, 'x')) FROM (SELECT (airun_create_task('" . run_id(4) . "')).task_id FROM generate_series(1, 50) OFFSET 0) AS t") for 1 .. 60;
is(sql("SELECT count(*) FROM airun.tasks WHERE run_id = '" . run_id(4) . "' AND status = 'streaming'"), '3000', '3,000 tasks stream');
{
	my $before = figures();
	is(ask($session, "DELETE FROM airun.tasks WHERE run_id = '" . run_id(4) . "'"), 'ERROR: 53200', 'more than there are locks cannot be removed in one statement');
	is(ask($session, "DELETE FROM airun.runs WHERE id = '" . run_id(4) . "'"), 'ERROR: 53200', 'nor with their run');
	is(figures(), $before, 'which changes nothing');
	is(ask($session, "DELETE FROM airun.tasks WHERE task_id IN (SELECT task_id FROM airun.tasks WHERE run_id = '" . run_id(4) . "' LIMIT 100)"), '', 'some can');
	is(sql("SELECT task_count FROM airun.runs WHERE id = '" . run_id(4) . "'"), '2900', 'and are gone');
	is(ask($session, 'SELECT airun_expire_tasks(10001)'), 'ERROR: PT422', 'airun_expire_tasks() ends 10,000 at most');
	$limits++;
}
check_ok($node, 'at the limits');
sql("TRUNCATE airun.runs CASCADE");
proven('limits, at and over', $limits);

#--- each function that writes ---------------------------------------------------------

# Run 1 with the tasks 1 (streams), 2 (pending), 3 (has ended, without a price);
# run 2 is deleted; run 3 does not exist.  A default of the store is missing, so
# that airun_install() has something to do.
sql(<<"END");
CREATE ROLE other;
SELECT airun_set_price('m', '{"input": 1}', effective_from => '-infinity');
SELECT airun_create_run(id => id::uuid) FROM unnest('{@{[run_id(1)]},@{[run_id(2)]}}'::text[]) AS id;
SELECT airun_create_task('@{[run_id(1)]}', id::uuid, model_id => 'n', timeout => '1 us') FROM unnest('{@{[task_id(1)]},@{[task_id(2)]},@{[task_id(3)]}}'::text[]) AS id;
SELECT airun_update_task('@{[task_id(1)]}', 'text');
SELECT airun_complete_task('@{[task_id(3)]}', 'text', '{"prompt_tokens": 3}');
INSERT INTO airun.prices (model, rates, effective_from) VALUES ('n', '{"input": 1}', '-infinity');
SELECT airun_delete_run('@{[run_id(2)]}');
SELECT airun_start_call('@{[task_id(1)]}');
-- so that airun_install() has something to do
ALTER TABLE airun.runs ALTER user_id DROP DEFAULT;
END

my ($run, $gone, $new) = map { "'" . run_id($_) . "'" } 1 .. 3;
my ($task, $pending) = map { "'" . task_id($_) . "'" } 1 .. 2;
my $say = '\'{"role": "user", "content": "x"}\'';
# function or door, and a call that needs what the other session holds
my @calls = (
	[ airun_install => 'SELECT airun_install()' ],
	[ airun_grant => "SELECT airun_grant('other')" ],
	[ airun_create_run => "SELECT airun_create_run(id => $new)" ],
	[ airun_update_run => "SELECT airun_update_run($run, 'x')" ],
	[ airun_star_run => "SELECT airun_star_run($run)" ],
	[ airun_toggle_star => "SELECT airun_toggle_star($run)" ],
	[ airun_archive_run => "SELECT airun_archive_run($run)" ],
	[ airun_set_run_status => "SELECT airun_set_run_status($run, 'completed')" ],
	[ airun_delete_run => "SELECT airun_delete_run($run)" ],
	[ airun_restore_run => "SELECT airun_restore_run($gone)" ],
	[ airun_purge_runs => "SELECT airun_purge_runs('infinity')" ],
	[ airun_append_message => "SELECT airun_append_message($run, $say)" ],
	[ airun_append_messages => "SELECT count(*) FROM airun_append_messages($run, '[{\"role\": \"user\", \"content\": \"x\"}]')" ],
	[ airun_save_message => "SELECT airun_save_message($run, $say, 'm')" ],
	[ airun_save_messages => "SELECT count(*) FROM airun_save_messages($run, '[{\"id\": \"m\", \"role\": \"user\", \"content\": \"x\"}]')" ],
	[ airun_truncate_messages => "SELECT airun_truncate_messages($run, 0)" ],
	[ airun_create_task => "SELECT airun_create_task($run)" ],
	[ airun_update_task => "SELECT airun_update_task($task, 'text and more')" ],
	[ airun_stream_delta => "SELECT airun_stream_delta($task, 'x')" ],
	[ airun_call => "SELECT airun_call('{\"airun_heartbeat_task\": {\"task_id\": \"' || $task || '\"}}')" ],
	[ airun_heartbeat_task => "SELECT airun_heartbeat_task($task)" ],
	[ airun_complete_task => "SELECT airun_complete_task($task)" ],
	[ airun_fail_task => "SELECT airun_fail_task($task)" ],
	[ airun_cancel_task => "SELECT airun_cancel_task($pending)" ],
	[ airun_start_turn => "SELECT airun_start_turn($run, $say)" ],
	[ airun_start_turn => "SELECT airun_start_turn($new, $say, run => '{}')" ],
	[ airun_finish_turn => "SELECT airun_finish_turn($task, response_text => 'text')" ],
	[ airun_meter => "SELECT airun_meter($new)" ],
	[ airun_start_call => "SELECT airun_start_call($new)" ],
	[ airun_end_call => "SELECT airun_end_call($task)" ],
	[ airun_writes_run => "SELECT airun_writes_run($run)" ],
	[ airun_set_price => "SELECT airun_set_price('m', '{\"input\": 2}')" ],
	[ airun_import_prices => 'SELECT count(*) FROM airun_import_prices(\'{"k": {"litellm_provider": "x", "input_cost_per_token": 1}}\')' ],
	[ airun_reprice => 'SELECT count(*) FROM airun_reprice()' ],
	[ airun_fork_run => "SELECT airun_fork_run($run)" ],
	[ 'INSERT INTO ai_runs' => "INSERT INTO ai_runs (id) VALUES ($new)" ],
	[ 'UPDATE ai_runs' => "UPDATE ai_runs SET name = 'x' WHERE id = $run" ],
	[ 'INSERT INTO ai_messages' => "INSERT INTO ai_messages (run_id, message) VALUES ($run, $say)" ],
	[ 'INSERT INTO ai_tasks' => "INSERT INTO ai_tasks (run_id) VALUES ($run)" ],
	[ 'UPDATE ai_tasks' => "UPDATE ai_tasks SET status = 'completed' WHERE task_id = $task" ],
	[ 'DELETE FROM ai_tasks' => "DELETE FROM ai_tasks WHERE task_id = $task" ],
	[ 'INSERT INTO airun.messages' => "INSERT INTO airun.messages (run_id, message) VALUES ($run, $say)" ],
	[ 'INSERT INTO airun.tasks' => "INSERT INTO airun.tasks (run_id) VALUES ($run)" ],
	[ 'UPDATE airun.tasks' => "UPDATE airun.tasks SET status = 'cancelled' WHERE task_id = $task" ],
	[ 'DELETE FROM airun.tasks' => "DELETE FROM airun.tasks WHERE task_id = $task" ],
	[ 'DELETE FROM airun.runs' => "DELETE FROM airun.runs WHERE id = $run" ]);
# these wait for nobody's row: they are tried with the tables locked
my @patient = (
	[ airun_expire_tasks => 'SELECT airun_expire_tasks()' ],
	[ airun_expire_calls => 'SELECT airun_expire_calls()' ],
	[ airun_stream_read => "SELECT airun_stream_read($task)" ],
	[ airun_get_run => "SELECT airun_get_run($run)" ],
	[ airun_list_runs => 'SELECT count(*) FROM airun_list_runs()' ],
	[ airun_messages => "SELECT airun_messages($run)" ],
	[ airun_message_versions => "SELECT count(*) FROM airun_message_versions($run)" ],
	[ airun_run_forks => "SELECT count(*) FROM airun_run_forks($run)" ],
	[ airun_context => "SELECT airun_context($run)" ],
	[ airun_search => "SELECT count(*) FROM airun_search('x')" ],
	[ airun_export => "SELECT airun_export($run)" ],
	[ airun_export_user => 'SELECT count(*) FROM airun_export_user()' ],
	[ airun_import => "SELECT count(*) FROM airun_import('[{\"role\": \"user\", \"content\": \"x\"}]')" ],
	[ airun_usage => "SELECT count(*) FROM airun_usage('-infinity', 'infinity')" ],
	[ airun_usage_page => "SELECT airun_usage_page('2026-01-01', '2026-01-31')" ],
	[ airun_rollup => 'SELECT airun_rollup()' ],
	[ airun_prune => 'SELECT airun_prune()' ],
	[ airun_erase_user => "SELECT airun_erase_user($new)" ],
	[ airun_check_usage => 'SELECT count(*) FROM airun_check_usage()' ],
	[ airun_rebuild_usage => 'SELECT airun_rebuild_usage()' ],
	[ airun_budget_status => 'SELECT count(*) FROM airun_budget_status()' ],
	[ airun_budget_check => "SELECT count(*) FROM airun_budget_check(run_id => $run)" ],
	[ airun_check_budgets => 'SELECT count(*) FROM airun_check_budgets()' ],
	[ airun_set_budget => q(SELECT airun_set_budget('b', 1e9, measure => 'calls', mode => 'soft')) ],
	[ airun_credit_budget => q(SELECT airun_set_budget('b', 1e9, measure => 'calls', mode => 'soft'), airun_credit_budget('b', 1)) ],
	[ airun_check => 'SELECT count(*) FROM airun_check()' ],
	[ airun_install_original => "SELECT airun_install_original('original')" ],
	[ airun_sees_run => "SELECT airun_sees_run($run)" ],
	[ airun_cost => "SELECT airun_cost('m', '{\"input\": 1}')" ],
	[ airun_cost_details => "SELECT airun_cost_details('m', '{\"input\": 1}')" ]);

# None is forgotten: every function that is not immutable, triggers aside
{
	my %known = map { $_->[0] => 1 } @calls, @patient;
	# no table is touched, but for a site's shapes of usages, which are read as definitions are
	$known{$_} = 1 for qw(airun_normalize_usage airun_uuid airun_user_id airun_is_overdue airun_store_comments airun_store_differences
		airun_store_original_schemas);
	# they wait in their own way (070_partition); and their parts
	$known{$_} = 1 for qw(airun_partition airun_add_partitions airun_drop_partitions airun_store_attach airun_store_check_partitionable
		airun_store_dependents airun_store_lock airun_store_make_partitions airun_store_mend airun_store_move_rows airun_store_partitions
		airun_store_present_views airun_store_refuse_citus airun_store_require_owner airun_store_set_aside airun_store_table_commands
		airun_store_take_back);
	# it waits as airun_save_message() does; what lets others report waits for nobody's row
	$known{$_} = 1 for qw(airun_edit_message airun_store_let_report);
	# nothing of a store's rows, or what a proxy does (070_shards)
	$known{$_} = 1 for qw(airun_install_shard airun_install_proxy airun_shards airun_move_bucket airun_spread_buckets
		airun_import_tables);
	my @lack = grep { !$known{$_} } split /\n/, sql(<<'END');
SELECT DISTINCT p.proname FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
	JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'airun' WHERE p.provolatile <> 'i' AND p.prorettype <> 'trigger'::regtype
	-- parts of airun_rollup() and airun_check_usage(), and of airun_set_budget() and airun_work()
	AND p.proname !~ '^airun_store_(charges|cube|fold|rebuild|usage|import|messages_of|budget|begin_budget|check_budget|hold|lock_soon|period|require_member|reprice|work|build_usage|has_view)'
	-- of what prunes and erases
	AND p.proname !~ '^airun_store_(erase|cancel_tasks|prune|purge_runs|remove_runs|strip_runs|empty_messages|empty_copies|forks|has_person|keep_charges|drop_month|month_may_go)'
	-- and of what shards do
	AND p.proname !~ '^airun_store_(enter|call_bucket|shard_of|make_|merge|proxy_body|routes|copy_bucket|precopy_bucket|clear_bucket|close_bucket|switch_bucket|reopen_bucket|look_at_target|await_writers|leave_bucket|is_moving|place_buckets|require_proxy|refuse_citus|pack|unpack|receive)'
	-- and what runs in no transaction of the caller's
	AND p.prokind <> 'p'
END
	is("@lack", '', 'every function is tried');
}

# What airun_check() finds, aside from what airun_install() is to put back
my $check = q(SELECT count(*) FROM airun_check() WHERE problem <> 'default user_id of airun.runs');
sub checked { is(sql($check), '0', "airun_check() has no other row $_[0]"); }

# What the calls need, in another session's hands
my $rows = <<"END";
BEGIN;
SELECT FROM airun.runs WHERE id IN ($run, $gone) FOR UPDATE;
SELECT airun_stream_delta($task, 'held');
SELECT FROM airun.tasks FOR UPDATE;
SELECT airun_create_run(id => $new);
SELECT airun_start_call($new);
SELECT FROM airun.calls FOR UPDATE;
UPDATE airun.prices SET source = source;
GRANT SELECT ON ALL TABLES IN SCHEMA airun TO other;
END
my $tables = 'BEGIN; LOCK TABLE airun.runs, airun.messages, airun.tasks, airun.usage_tail, airun.task_chunks, airun.calls, airun.prices, airun.price_book, airun.budgets, airun.budget_periods IN ACCESS EXCLUSIVE MODE';

my $holder = session();
my $struck = 0;
# In a savepoint, as a client does that wants to go on: the call is struck; then,
# with the locks let go, no mark of it makes a stranger's write pass for airun's
# own, and the same call works.
for my $way ([ 'lock_timeout', 10, '55P03' ], [ 'statement_timeout', 30, '57014' ])
{
	my ($setting, $milliseconds, $expected) = @$way;
	for my $part ([ $rows, \@calls ], [ $tables, \@patient ])
	{
		my ($hold, $list) = @$part;
		my $before = store();
		for my $call (@$list)
		{
			ask($holder, $hold);
			ask($session, "BEGIN; SET LOCAL $setting = $milliseconds; SAVEPOINT s");
			is(ask($session, $call->[1]), "ERROR: $expected", "$setting in $call->[0] is $expected");
			$struck++;
			ask($holder, 'ROLLBACK');
			ask($session, "ROLLBACK TO s; SET LOCAL $setting = 0; SAVEPOINT t");
			is(ask($session, "UPDATE airun.runs SET total_tokens = 7 WHERE id = $run"), 'ERROR: PT422', 'totals are kept as before');
			ask($session, 'ROLLBACK TO t');
			unlike(ask($session, $call->[1]), qr/^ERROR/, 'the same call works in the same session');
			is(ask($session, $check), '0', 'and airun_check() finds nothing');
			ask($session, 'ROLLBACK');
		}
		is(store(), $before, "nothing has changed by $setting");
	}
}
# one that waits for news goes by it
ask($session, 'SET statement_timeout = 50');
like(ask($session, "SELECT airun_stream_read($task, 4, '20 s')"), qr/streaming/, 'a reader answers before statement_timeout strikes');
ask($session, 'RESET statement_timeout');
is(ask($session, "SELECT text FROM airun_stream_read($task, 2)"), 'xt', 'who reads on');
checked('after timeouts');

# Transactions that did something and then nothing.  BEGIN and the call are one
# message, so that the call comes first; psql then asks, now and then, until the
# server has ended the session.
{
	my $before = store();
	for my $call (@calls, @patient)
	{
		my $err = '';
		$node->psql('postgres', "\\set VERBOSITY sqlstate\nSET idle_in_transaction_session_timeout = 1;\nBEGIN\\; $call->[1];\nSELECT 1 \\watch 0.02\n", stderr => \$err);
		is($err =~ /((?:ERROR|FATAL):\s+\w+)/ ? $1 : 'none', 'FATAL:  25P03', "$call->[0]: a transaction that idles behind it ends with 25P03");
		$struck++;
	}
	is(store(), $before, 'nothing has changed');
	checked('after that');
}
proven('timeouts struck', $struck);

#--- a full disk -----------------------------------------------------------------------

SKIP:
{
	skip 'no compiler, or none of its kind, for a disk that is full', 1 unless $has_shim;

	my $text = "(SELECT string_agg(md5(i::text || random()), '') FROM generate_series(1, 5000) AS i)";
	my $more = "jsonb_build_object('role', 'user', 'content', $text)";
	my $object = "jsonb_build_object('x', $text)";
	# function or door, and a call that needs room; some need it only when repeated
	my @calls = (
		[ airun_create_run => "SELECT airun_create_run(id => $new, metadata => $object)" ],
		[ airun_update_run => "SELECT airun_update_run($run, metadata => $object)" ],
		[ airun_star_run => "SELECT airun_star_run($run, i % 2 = 0) FROM generate_series(1, 2000) AS i" ],
		[ airun_toggle_star => "SELECT airun_toggle_star($run) FROM generate_series(1, 2000) AS i" ],
		[ airun_archive_run => "SELECT airun_archive_run($run, i % 2 = 0) FROM generate_series(1, 2000) AS i" ],
		[ airun_set_run_status => "SELECT airun_set_run_status($run, (ARRAY['error', 'active'])[i % 2 + 1]) FROM generate_series(1, 2000) AS i" ],
		[ airun_delete_run => "SELECT airun_delete_run($run), airun_restore_run($run) FROM generate_series(1, 2000) AS i" ],
		[ airun_append_message => "SELECT airun_append_message($run, $more)" ],
		[ airun_append_messages => "SELECT count(*) FROM airun_append_messages($run, jsonb_build_array($more, $more))" ],
		[ airun_create_task => "SELECT airun_create_task($run, request_data => $object)" ],
		[ airun_update_task => "SELECT airun_update_task($task, $text)" ],
		[ airun_stream_delta => "SELECT airun_stream_delta($task, $text)" ],
		[ airun_heartbeat_task => "SELECT airun_heartbeat_task($task) FROM generate_series(1, 2000)" ],
		[ airun_complete_task => "SELECT airun_complete_task($task, $text)" ],
		[ airun_fail_task => "SELECT airun_fail_task($task, response_text => $text)" ],
		[ airun_cancel_task => "SELECT airun_cancel_task($pending, response_data => $object)" ],
		[ airun_start_turn => "SELECT airun_start_turn($run, $more)" ],
		[ airun_finish_turn => "SELECT airun_finish_turn($task, $more)" ],
		[ airun_set_price => "SELECT airun_set_price('m' || i, '{\"input\": 2}', aliases => ARRAY[repeat(md5(i::text), 5)]) FROM generate_series(1, 2000) AS i" ],
		[ airun_import_prices => "SELECT count(*) FROM airun_import_prices((SELECT jsonb_object_agg('k' || i, '{\"litellm_provider\": \"x\", \"input_cost_per_token\": 1}'::jsonb) FROM generate_series(1, 5000) AS i))" ],
		[ 'INSERT INTO ai_runs' => "INSERT INTO ai_runs (metadata) SELECT $object" ],
		[ 'INSERT INTO ai_messages' => "INSERT INTO ai_messages (run_id, message) SELECT $run, $more" ],
		[ 'INSERT INTO ai_tasks' => "INSERT INTO ai_tasks (run_id, request_data) SELECT $run, $object" ],
		[ 'UPDATE ai_tasks' => "UPDATE ai_tasks SET status = 'completed', response_text = $text WHERE task_id = $task" ],
		[ 'INSERT INTO airun.messages' => "INSERT INTO airun.messages (run_id, message) SELECT $run, $more" ],
		[ 'INSERT INTO airun.tasks' => "INSERT INTO airun.tasks (run_id, request_data) SELECT $run, $object" ],
		[ 'UPDATE airun.tasks' => "UPDATE airun.tasks SET response_data = $object WHERE task_id = $task" ]);

	my $before = store();
	append_to_file($full, '');
	for my $call (@calls)
	{
		is(ask($session, $call->[1]), 'ERROR: 53100', "$call->[0]: no room is 53100");
		is(store(), $before, 'and nothing has changed');
	}
	# what needs no room goes on
	is(ask($session, "SELECT text FROM airun_stream_read($task)"), 'text', 'reading works on a full disk');
	checked('on a full disk');
	unlink $full;
	for my $call (@calls)
	{
		ask($session, 'BEGIN');
		unlike(ask($session, $call->[1]), qr/^ERROR/, "$call->[0] works when there is room again");
		is(ask($session, $check), '0', 'and airun_check() finds nothing');
		ask($session, 'ROLLBACK');
	}
	is(store(), $before, 'nothing has changed');
	# and the server comes back with all of it
	$_->quit for $session, $holder;
	$node->stop('immediate');
	$node->start;
	is(store(), $before, 'nor has a crash changed anything');
	checked('after it');
	proven('full disks', scalar @calls);
}

done_testing();
