"""Hot words on the real server, with models whose texts say what they were given."""
