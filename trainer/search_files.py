"""Names of what a search leaves, in the TunerResults artifact and in the run's folder."""

TABLE_FILE = "search.json"
PLOT_FILE = "search.png"
