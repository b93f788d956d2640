"""Checks of the files that start a cluster: found before a machine is paid for.

`raytao.cluster.files.check.check_file` tells what kind a file is and has it checked; there is a
module for each kind. Nothing is started and nothing is asked for over the network.
"""
