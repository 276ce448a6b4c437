"""The key of a user of the simulated system."""

from vtspolicy.testing.nonstop.accounts import Account
from vtspolicy.testing.nonstop.ssh import new_host_key

USER_KEY = new_host_key()


KEYED = Account(user="VTS.KEYED", number=(100, 8), keys=(USER_KEY.public().toString("OPENSSH"),))
