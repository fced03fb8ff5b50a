"""Drives a server with the official Python SDK, unmodified, and checks every answer.

Usage: sdk_lifecycle.py ENDPOINT ACCESS_KEY_ID ACCESS_KEY_SECRET

Nothing is patched and no time is waited for: where a lease must end, a long poll waits for the message to come back.
"""

import hashlib
import sys
import time

from mns.account import Account
from mns.message_property import MessagePropertyValue, MessageSystemPropertyValue, PropertyType, SystemPropertyName
from mns.mns_exception import MNSServerException
from mns.queue import Message, QueueMeta

BODIES = [
    "plain",
    "汉字 кириллица العربية 😀",
    "<MessageBody attribute=\"x\">&amp; 'quoted' ]]> &#65;</MessageBody>",
    "  blanks in front, behind, and\n\ta line break  ",
    '{"events":[{"eventName":"ObjectCreated:PutObject","oss":{"object":{"key":"a+b%20c/ü.json"}}}]}',
]


def refused(code, call, *arguments):
    """The exception of a call that the server must refuse with `code`."""
    try:
        result = call(*arguments)
    except MNSServerException as error:
        assert error.type == code, "expected %s, got %s" % (code, error)
        assert error.request_id, "the request id is missing"
        return error
    raise AssertionError("expected %s, got an answer: %r" % (code, result))


def md5(text):
    return hashlib.md5(text if isinstance(text, bytes) else text.encode("utf-8")).hexdigest().upper()


class Suite:
    def __init__(self, endpoint, key_id, key_secret):
        self.endpoint = endpoint
        self.account = Account(endpoint, key_id, key_secret)
        self.stranger = Account(endpoint, "nobody", key_secret)
        self.impostor = Account(endpoint, key_id, "guess")

    def queue(self, name, meta=None, base64=False):
        queue = self.account.get_queue(name)
        queue.set_encoding(base64)
        assert queue.create(meta or QueueMeta()) == "%s/queues/%s" % (self.endpoint, name)
        return queue

    def check_who_asks(self):
        refused("InvalidAccessKeyId", self.stranger.list_queue)
        refused("SignatureDoesNotMatch", self.impostor.list_queue)

    def check_queue_lifecycle(self):
        meta = QueueMeta(60, 10240, 259200, 5, 10, True)
        queue = self.queue("lifecycle", meta)
        # The same again is fine, and still names the queue; anything else is a conflict.
        assert queue.create(meta).endswith("/queues/lifecycle")
        refused("QueueAlreadyExist", queue.create, QueueMeta())
        seen = queue.get_attributes()
        assert seen.queue_name == "lifecycle"
        assert (seen.visibility_timeout, seen.maximum_message_size, seen.message_retention_period) == (60, 10240, 259200)
        assert (seen.delay_seconds, seen.polling_wait_seconds, seen.logging_enabled) == (5, 10, True)
        assert abs(seen.create_time - time.time()) < 60, "seconds, not milliseconds"
        queue.set_attributes(QueueMeta(vis_timeout=90))
        seen = queue.get_attributes()
        assert (seen.visibility_timeout, seen.maximum_message_size, seen.delay_seconds) == (90, 10240, 5)
        refused("InvalidArgument", queue.set_attributes, QueueMeta(vis_timeout=43201))
        queue.delete()
        refused("QueueNotExist", queue.get_attributes)
        refused("QueueNotExist", queue.receive_message)
        refused("QueueNotExist", queue.delete)
        refused("InvalidQueueName", self.account.get_queue("no_underscores").create, QueueMeta())

    def check_listing(self):
        names = ["list-%d" % number for number in range(5)]
        for name in names:
            self.queue(name)
        found, pages, marker = [], 0, ""
        while True:
            urls, marker = self.account.list_queue("list-", 2, marker)
            assert len(urls) <= 2
            found += [url.rsplit("/", 1)[1] for url in urls]
            pages += 1
            if not marker:
                break
        assert (found, pages) == (names, 3)
        urls, marker = self.account.list_queue()
        assert set(names) <= {url.rsplit("/", 1)[1] for url in urls} and marker == ""
        assert self.account.list_queue("nothing-like-it") == ([], "")

    def check_messages(self, base64):
        """Send, receive, peek, delete, one by one, with base64 on or off."""
        queue = self.queue("messages-%s" % base64, base64=base64)
        refused("MessageNotExist", queue.receive_message)
        refused("MessageNotExist", queue.peek_message)
        for body in BODIES:
            sent = queue.send_message(Message(body))
            assert len(sent.message_id) == 32 and not sent.receipt_handle
            peeked = queue.peek_message_with_str_body()
            assert (peeked.message_id, peeked.message_body, peeked.dequeue_count) == (sent.message_id, body, 0)
            assert peeked.first_dequeue_time == 0
            got = queue.receive_message_with_str_body()
            assert (got.message_id, got.message_body) == (sent.message_id, body), (got.message_body, body)
            assert got.message_body_md5 == sent.message_body_md5
            assert base64 or got.message_body_md5 == md5(body)
            assert (got.dequeue_count, got.priority) == (1, 8)
            assert got.enqueue_time <= got.first_dequeue_time
            assert got.next_visible_time == got.first_dequeue_time + 30000, "the default lease, in milliseconds"
            queue.delete_message(got.receipt_handle)
            refused("ReceiptHandleError", queue.delete_message, got.receipt_handle)
        refused("ReceiptHandleError", queue.delete_message, "nonsense")

    def check_batches(self, base64):
        queue = self.queue("batches-%s" % base64, base64=base64)
        refused("MessageNotExist", queue.batch_receive_message, 16)
        refused("MessageNotExist", queue.batch_peek_message, 16)
        messages = [Message(body, priority=1 + number) for number, body in enumerate(BODIES)]
        sent = queue.batch_send_message(messages)
        ids = [message.message_id for message in sent]
        assert len(set(ids)) == len(BODIES)
        peeked = queue.batch_peek_message_with_str_body(16)
        assert [message.message_id for message in peeked] == ids
        got = queue.batch_receive_message_with_str_body(3)
        got += queue.batch_receive_message_with_str_body(16, 1)
        assert [(message.message_id, message.message_body) for message in got] == list(zip(ids, BODIES))
        assert [message.priority for message in got] == [1, 2, 3, 4, 5]
        handles = [message.receipt_handle for message in got]
        assert len(set(handles)) == len(handles)
        queue.batch_delete_message(handles[:2])
        # Two are gone, one was never there: these three are reported, the others deleted.
        error = refused("ReceiptHandleError", queue.batch_delete_message, handles + ["nonsense"])
        failed = [(entry["ReceiptHandle"], entry["ErrorCode"]) for entry in error.sub_errors]
        assert failed == [(handle, "ReceiptHandleError") for handle in handles[:2] + ["nonsense"]], failed
        refused("InvalidArgument", queue.batch_receive_message, 17)
        refused("InvalidArgument", queue.batch_send_message, [Message("x")] * 17)
        refused("InvalidArgument", queue.batch_delete_message, ["x"] * 17)
        counts = queue.get_attributes()
        assert (counts._active_messages, counts._inactive_messages, counts._delay_messages) == (0, 0, 0)

    def check_leases(self):
        queue = self.queue("leases")
        sent = queue.send_message(Message("again"))
        first = queue.receive_message()
        changed = queue.change_message_visibility(first.receipt_handle, 120)
        assert int(changed.next_visible_time) > first.next_visible_time
        assert changed.receipt_handle != first.receipt_handle
        refused("ReceiptHandleError", queue.change_message_visibility, first.receipt_handle, 5)
        refused("ReceiptHandleError", queue.delete_message, first.receipt_handle)
        refused("MessageNotExist", queue.receive_message)
        queue.change_message_visibility(changed.receipt_handle, 1)
        again = queue.receive_message(10)
        assert (again.message_id, again.dequeue_count) == (sent.message_id, 2)
        assert again.first_dequeue_time == first.first_dequeue_time
        assert again.receipt_handle not in (first.receipt_handle, changed.receipt_handle)
        refused("InvalidArgument", queue.change_message_visibility, again.receipt_handle, 0)
        refused("InvalidArgument", queue.receive_message, 31)
        queue.delete_message(again.receipt_handle)

    def check_delays(self):
        queue = self.queue("delays")
        sent = queue.send_message(Message("later", delay_seconds=600))
        assert sent.receipt_handle, "a delayed message can be changed before it is visible"
        assert queue.get_attributes()._delay_messages == 1
        refused("MessageNotExist", queue.receive_message)
        queue.change_message_visibility(sent.receipt_handle, 1)
        got = queue.receive_message(10)
        assert (got.message_id, got.dequeue_count) == (sent.message_id, 1)
        queue.delete_message(got.receipt_handle)
        refused("InvalidArgument", queue.send_message, Message("x", delay_seconds=604801))
        refused("InvalidArgument", queue.send_message, Message("x", priority=17))

    def check_sizes(self):
        queue = self.queue("sizes", QueueMeta(max_msg_size=2048))
        queue.send_message(Message("x" * 2048))
        refused("InvalidArgument", queue.send_message, Message("x" * 2049))
        # Bytes count, not characters.
        refused("InvalidArgument", queue.send_message, Message("汉" * 683))
        large = self.queue("sizes-large")
        large.send_message(Message("x" * 65536))
        assert large.receive_message().message_body == "x" * 65536
        refused("InvalidArgument", large.batch_send_message, [Message("x" * 40000)] * 2)

    def check_properties(self):
        queue = self.queue("properties")
        message = Message("with properties", message_group_id="group-1")
        message.add_user_property("text", MessagePropertyValue(PropertyType.STRING, "a <b> & 汉"))
        message.add_user_property("number", MessagePropertyValue(PropertyType.NUMBER, 42))
        message.add_user_property("flag", MessagePropertyValue(PropertyType.BOOLEAN, True))
        message.add_user_property("bytes", MessagePropertyValue(PropertyType.BINARY, b"\x00\xff"))
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        message.add_system_property(SystemPropertyName.TRACEPARENT, MessageSystemPropertyValue("STRING", trace))
        queue.send_message(message)
        queue.batch_send_message([message])
        for got in queue.batch_peek_message(16) + [queue.receive_message()] + queue.batch_receive_message(16):
            user = got.get_user_properties()
            assert user["text"].string_value == "a <b> & 汉" and user["number"].string_value == "42"
            assert user["flag"].string_value == "true" and user["bytes"].binary_value == b"\x00\xff"
            assert got.get_system_properties()[SystemPropertyName.TRACEPARENT].string_value == trace
            assert not got.receipt_handle or got.message_group_id == "group-1"

    def check_account(self):
        attributes = self.account.get_attributes()
        attributes.logging_bucket = "logs"
        self.account.set_attributes(attributes)
        assert self.account.get_attributes().logging_bucket == "logs"

    def run(self):
        self.check_who_asks()
        self.check_queue_lifecycle()
        self.check_listing()
        for base64 in (True, False):
            self.check_messages(base64)
            self.check_batches(base64)
        self.check_leases()
        self.check_delays()
        self.check_sizes()
        self.check_properties()
        self.check_account()


if __name__ == "__main__":
    Suite(*sys.argv[1:4]).run()
    print("every check of the official SDK passed")
