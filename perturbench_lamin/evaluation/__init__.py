"""From predictions to metrics: sufficient statistics, metric registry, ranks, profiles, report, leaderboard."""
