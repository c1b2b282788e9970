--
-- The matrix of privileges.sql, where the store's owner, no superuser, has
-- installed the extension: its results alone, which are the same.
--
\set ECHO none
\set owner_installs true
\getenv tree PG_ABS_SRCDIR
\set file :tree '/sql/privileges.sql'
\i :file
