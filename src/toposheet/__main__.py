from toposheet.cli import main

main()
