"""A film's tables in a shared Postgres, for dashboards and teams; Supabase is Postgres.

`schema` says which tables there are, `rows` makes their rows, `connect` opens the database and
puts its refusals into words, `setup` makes tables and rights, `push` brings one film's rows to
what they are here, `inbox` takes what dashboards wrote.
"""
