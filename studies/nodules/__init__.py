"""Real lung nodules with readers' ratings, against what the report measures of them and against drawn ones."""
