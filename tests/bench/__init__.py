"""`./dev bench`: the peers and us, in shuffled turns in one run, as ratios of medians.

These machines are noisy, so nothing here is an absolute: each row runs every contender in turn, in a new random order
each round, and prints each median and its ratio to the fastest peer. Every engine lives in its own mount and network
namespace with its store on tmpfs, and leaves nothing behind.

    turns     measure commands in shuffled rounds
    peers     runc, crun, bubblewrap; dockerd, podman, containerd: started privately
    rows      what is measured, a function a row
"""
