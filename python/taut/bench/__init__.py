"""`taut bench`: taut beside other libraries, on this very machine.

A *kind* of work (`kinds`) has sizes; a *library* (`libraries`) has contestants for it. A process of
its own (`worker`) makes them compute the same, refuses those whose results differ (`contestant`)
and times the others in turns (`timing`). What comes of it is a document (`results`), which
`tables` prints and `charts` draws. Nothing here is imported by `import taut`.
"""
