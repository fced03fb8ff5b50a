"""Receives and deletes in batches of 16 with the official Python SDK, until it is killed. Usage: peer.py ENDPOINT"""

import sys

from mns.account import Account

queue = Account(sys.argv[1], "testid", "testsecret").get_queue("q")
while True:
    messages = queue.batch_receive_message(16, 10)
    queue.batch_delete_message([message.receipt_handle for message in messages])
