"""Sends each line of standard input as one message with the official SDK, which encodes bodies with base64 by default.

usage: send.py ENDPOINT KEY_ID KEY_SECRET QUEUE
"""

import sys

from mns.account import Account
from mns.queue import Message

endpoint, key_id, key_secret, queue_name = sys.argv[1:]
queue = Account(endpoint, key_id, key_secret).get_queue(queue_name)
for line in sys.stdin:
    queue.send_message(Message(line.rstrip("\n")))
