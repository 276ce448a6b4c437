"""Public fakes and suites, so that you can test your own rules, scripts and queues.

- `vtspolicy.testing.application`: a program that acts out all that a backup application can do;
- `vtspolicy.testing.tsm`, `netbackup`, `networker`, `dataprotector`: fakes of those products'
  commands, faithful to what is published of them, each with scenarios (`vtspolicy.testing.acting`);
- `vtspolicy.testing.host`: a host that sends events and collects notices;
- `vtspolicy.testing.nonstop`: a host to log on to, with TACL, EMSDIST and MEDIACOM, over Telnet,
  SSH and plain lines;
- `vtspolicy.testing.display`: an event as a distributor displays it, wrapped and all;
- `vtspolicy.testing.ledger`: a ledger in memory, with faults where a test wants them;
- `vtspolicy.testing.runner`: a runner whose runs end when the test says so;
- `vtspolicy.testing.clock`: time that passes when the test says so;
- `vtspolicy.testing.queue_suite`: what every queue must pass (needs pytest and hypothesis);
- `vtspolicy.testing.runner_suite`: what every runner must do.

Nothing is imported here: the application has to start as fast as the programs that it stands for.
"""
