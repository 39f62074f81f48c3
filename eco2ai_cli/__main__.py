"""Make `python -m eco2ai_cli` the same as `eco2ai`."""

from eco2ai_cli.cli import main

if __name__ == "__main__":
    main()
