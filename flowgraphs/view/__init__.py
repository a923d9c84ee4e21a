"""The live page of a line: `osgp-sdr view`."""
