"""Names of the messages that master and workers exchange over Locust's own channel.

master -> worker   plan   {plan, host, worker, workers, folder, run_id}   before the users are spawned
master -> worker   clock  {asked}                            what does your clock say? before and after the load
worker -> master   time   {asked, clock}                     the question's moment, and the worker's own
master -> worker   ahead  {ahead_s}                          so far your clock is ahead of mine: users may get their tokens
worker -> master   ready  {worker, users, trouble}           every user has its token
master -> worker   go     {start, ahead_s}                   the load starts at this moment of the master's epoch
worker -> master   snapshot                                  once a second
master -> worker   received {number, final, halted_s, closed}   all snapshots up to this one have arrived; halt, close
master -> worker   halt   {at_s}                             no turn due later begins
master -> worker   close                                     the drain is over
worker -> master   fault  {trouble}                          the worker cannot go on
master -> worker   take   {number, users, from_s}            play these users too, from then on: their worker is lost
worker -> master   taken  {number}                           it will
worker -> master   final                                     every user has had its turns; totals
master -> worker   refused {why, build}                      leave: another build (why is none), too late, or given up
"""

PLAN = "loadtest_plan"
CLOCK = "loadtest_clock"
TIME = "loadtest_time"
AHEAD = "loadtest_ahead"
READY = "loadtest_ready"
GO = "loadtest_go"
SNAPSHOT = "loadtest_snapshot"
RECEIVED = "loadtest_received"
HALT = "loadtest_halt"
FAULT = "loadtest_fault"
CLOSE = "loadtest_close"
TAKE = "loadtest_take"
TAKEN = "loadtest_taken"
FINAL = "loadtest_final"
REFUSED = "loadtest_refused"
