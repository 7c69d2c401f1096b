"""The harness behind bench/run and bench/report; bench/README.md is its manual."""
