"""The floor of a stream of lines: Twisted's LineOnlyReceiver, which counts and does nothing else.

`python floor_lines.py PORT COUNT` says how many lines it has seen once they are that many.
"""

import sys

from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver


class Counting(LineOnlyReceiver):
    delimiter = b"\n"
    count = 0

    def lineReceived(self, line):
        self.count += 1
        if self.count == self.factory.until:
            self.transport.write(b"%d\n" % self.count)


factory = Factory.forProtocol(Counting)
factory.until = int(sys.argv[2])
reactor.listenTCP(int(sys.argv[1]), factory, interface="127.0.0.1")
reactor.run()
