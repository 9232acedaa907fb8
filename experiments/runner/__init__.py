"""What the experiments share: configurations, command line, run folders, reports and commands."""
