"""The model server: KServe's, over the numbered versions of a serving directory.

config.py         what it is told; __main__.py starts it, process.py does so from a program
server.py         REST, gRPC, the watcher and the signals, in one event loop
rest.py, grpc.py  what KServe's endpoints lack: versions, limits, the address to listen on
connection.py, grpc_limits.py, room.py   the time and the memory that requests may take
v1.py, v2.py      the two protocols, to and from images and answers
served_model.py   one model of many versions, as KServe knows it
watcher.py        loads what the folders hold now, beside what answers
batcher.py        puts requests together while the model computes
servable.py       one version in memory
"""
