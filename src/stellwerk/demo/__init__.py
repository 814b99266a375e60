"""The sample company whose data the demo runs on."""
