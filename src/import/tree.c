/*
 * tree.c
 *		Messages that hang on one another, taken apart into branches.
 *
 * Who hangs on whom is told by the parent that each names; lists of children are
 * not read, they may lack some or name what is not there.  A node that says nothing
 * is passed over, and what hangs on it hangs on its parent.  Each end is a branch:
 * the first is the one that the source shows, or where it does not tell, that of the
 * newest end, and among equals of the last one.  Rings are cut.  The order of
 * messages is that of the way down, never that of their times.
 *
 * The branch that is shown is composed at once; each other one when it is asked for, in
 * the caller's memory, since together they may be many times as long as the document.
 *
 * PT422 where no message is left.  Nothing is locked.
 */
#include "import/import.h"

#include "miscadmin.h"

/* More branches than these, or than have so many messages, are told of, but not brought in */
#define MAX_BRANCHES			1000
#define MAX_BRANCH_MESSAGES		100000

/* The branches of a tree beside the one that is shown */
typedef struct Tree
{
	List	   *ends;			/* TreeNode */
	List	   *first_messages;
	NodeReader	read;
} Tree;

/* The nodes by their ids; of those with the same id the first counts */
static HTAB *
index_nodes(List *nodes)
{
	HTAB	   *table = words_begin();
	ListCell   *cell;

	foreach(cell, nodes)
	{
		TreeNode   *node = lfirst(cell);
		void	  **place = node->id != NULL ? words_place(table, node->id) : NULL;

		if (place != NULL && *place == NULL)
			*place = node;
	}
	return table;
}

static TreeNode *
find_node(HTAB *table, const char *id)
{
	return id != NULL ? *words_place(table, id) : NULL;
}

/* Does a node by itself make any message? */
static bool
says_anything(TreeNode *node, NodeReader read)
{
	Composer   *composer = compose_begin();

	read(composer, node->source);
	compose_end(composer);
	return composer->messages != NIL;
}

/*
 * The nearest node from this one on upwards that says anything; NULL for none.  Those on
 * the way keep it, so that nobody walks there twice.
 */
static TreeNode *
nearest(HTAB *table, TreeNode *node)
{
	List	   *way = NIL;
	ListCell   *cell;

	for (; node != NULL && !node->says_anything && !node->is_passed;
		 node = find_node(table, node->parent))
	{
		CHECK_FOR_INTERRUPTS();
		node->is_passed = true;
		way = lappend(way, node);
	}
	/* a ring of nodes that say nothing comes back to one that has none yet */
	if (node != NULL && !node->says_anything)
		node = node->up;
	foreach(cell, way)
	{
		((TreeNode *) lfirst(cell))->up = node;
	}
	return node;
}

/* The nodes from the first one down to this one */
static List *
way_to(TreeNode *end)
{
	List	   *upwards = NIL;
	List	   *way = NIL;
	TreeNode   *node;

	for (node = end; node != NULL && !node->is_seen; node = node->up)
	{
		CHECK_FOR_INTERRUPTS();
		node->is_seen = true;
		upwards = lappend(upwards, node);
	}
	for (int i = list_length(upwards); i-- > 0;)
	{
		node = list_nth(upwards, i);
		node->is_seen = false;
		way = lappend(way, node);
	}
	return way;
}

/* Which nodes are at a node or below it */
static void
mark_below(TreeNode *above)
{
	List	   *rest = list_make1(above);

	while (rest != NIL)
	{
		TreeNode   *node = llast(rest);

		CHECK_FOR_INTERRUPTS();
		rest = list_delete_last(rest);
		if (node->is_below)
			continue;
		node->is_below = true;
		rest = list_concat(rest, node->next);
	}
}

/* The newest end, or the newest of those that are marked; among equals the last */
static TreeNode *
newest_end(List *nodes, bool below)
{
	TreeNode   *newest = NULL;
	ListCell   *cell;

	foreach(cell, nodes)
	{
		TreeNode   *node = lfirst(cell);

		if (node->says_anything && node->next == NIL &&
			(newest == NULL || node->time >= newest->time) && (!below || node->is_below))
			newest = node;
	}
	return newest;
}

static Composer *
compose_branch(TreeNode *end, List *first_messages, NodeReader read)
{
	Composer   *composer = compose_begin();
	ListCell   *cell;

	foreach(cell, first_messages)
	{
		compose_system(composer, lfirst(cell));
	}
	foreach(cell, way_to(end))
	{
		read(composer, ((TreeNode *) lfirst(cell))->source);
	}
	compose_end(composer);
	return composer;
}

/* Find out who says anything, and who hangs on whom of those */
static void
hang_up(List *nodes, HTAB *table, NodeReader read)
{
	ListCell   *cell;

	foreach(cell, nodes)
	{
		TreeNode   *node = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		node->says_anything = says_anything(node, read);
	}
	foreach(cell, nodes)
	{
		TreeNode   *node = lfirst(cell);

		if (!node->says_anything)
			continue;
		node->up = nearest(table, find_node(table, node->parent));
		if (node->up == node)
			node->up = NULL;
		if (node->up != NULL)
			node->up->next = lappend(node->up->next, node);
	}
}

/* Keep the end of a branch, unless there are too many, or they have too many messages */
static void
add_end(TreeNode *node, Conversation *conversation, int64 *messages)
{
	List	   *way;

	if (list_length(conversation->tree->ends) >= MAX_BRANCHES - 1 ||
		*messages >= MAX_BRANCH_MESSAGES)
	{
		conversation->branches_left_out++;
		return;
	}
	way = way_to(node);
	*messages += list_length(way);
	list_free(way);
	conversation->tree->ends = lappend(conversation->tree->ends, node);
}

/*
 * Take the nodes apart into the conversation's branches.  current: the id of the
 * node that the source shows, or NULL; first_messages: system prompts (JsonbValue).
 */
void
tree_to_branches(List *nodes, const char *current, List *first_messages, NodeReader read,
				 Conversation *conversation)
{
	HTAB	   *table = index_nodes(nodes);
	TreeNode   *shown;
	int64		messages = 0;
	ListCell   *cell;

	hang_up(nodes, table, read);
	shown = nearest(table, find_node(table, current));
	if (shown != NULL && shown->next != NIL)
	{
		mark_below(shown);
		shown = newest_end(nodes, true);
	}
	if (shown == NULL)
		shown = newest_end(nodes, false);
	if (shown == NULL)
		return;
	conversation->branches = list_make1(compose_branch(shown, first_messages, read));
	conversation->tree = palloc_object(Tree);
	*conversation->tree = (Tree) {NIL, first_messages, read};
	foreach(cell, nodes)
	{
		TreeNode   *node = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		if (node->says_anything && node->next == NIL && node != shown)
			add_end(node, conversation, &messages);
	}
}

int
tree_branch_count(const Tree *tree)
{
	return tree == NULL ? 0 : list_length(tree->ends);
}

/* Compose one of the branches that are not shown, from 0 on */
Composer *
tree_branch(const Tree *tree, int number)
{
	return compose_branch(list_nth(tree->ends, number), tree->first_messages, tree->read);
}
