"""`make load`: kinds of users, shapes of load, objectives, and the report of a run."""
