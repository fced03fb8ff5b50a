// Receives and deletes in batches of 16 with the official Node SDK, eight side by side, until it is killed.
// Usage: node peer.js ENDPOINT

'use strict';

const MNS = require('@alicloud/mns');

const client = new MNS('1234567890123456', {
  endpoint: process.argv[2], accessKeyId: 'testid', accessKeySecret: 'testsecret',
});

async function consume() {
  for (;;) {
    const { body } = await client.batchReceiveMessage('q', 16, 10);
    await client.batchDeleteMessage('q', body.map((message) => message.ReceiptHandle));
  }
}

for (let consumer = 0; consumer < 8; consumer += 1) {
  consume().catch((error) => { console.error(error); process.exit(1); });
}
