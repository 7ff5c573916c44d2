"""Names of the messages that master and workers exchange over Locust's own channel.

master -> worker   plan   {plan, host, worker, workers, folder, run_id}   before the users are spawned
worker -> master   ready  {worker, name, users, trouble}     every user has its token
master -> worker   go     {start}                            the load starts at this moment of the Unix epoch
worker -> master   snapshot                                  once a second
master -> worker   received {number, final}                  all snapshots up to this one have arrived
master -> worker   halt   {at_s}                             no turn due later begins
master -> worker   close                                     the drain is over
worker -> master   fault  {name, trouble}                    the worker cannot go on
worker -> master   final                                     every user has had its turns; totals
"""

PLAN = "loadtest_plan"
READY = "loadtest_ready"
GO = "loadtest_go"
SNAPSHOT = "loadtest_snapshot"
RECEIVED = "loadtest_received"
HALT = "loadtest_halt"
FAULT = "loadtest_fault"
CLOSE = "loadtest_close"
FINAL = "loadtest_final"
