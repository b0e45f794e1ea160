// kafkajs: create a topic, produce, consume in a group, and read the group's committed offsets.
const { Kafka, logLevel, CompressionTypes } = require(process.argv[2] + '/node_modules/kafkajs')
const [addr, topic] = process.argv.slice(3)
const kafka = new Kafka({ brokers: [addr], clientId: 'interop', logLevel: logLevel.ERROR })

async function main() {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 2 }], waitForLeaders: true })
  const producer = kafka.producer({ idempotent: true })
  await producer.connect()
  for (const compression of [CompressionTypes.None, CompressionTypes.GZIP]) {
    for (let i = 0; i < 5; i++) {
      await producer.send({ topic, compression, messages: [{ key: 'k' + i, value: 'v' + i, headers: { h: 'x' } }] })
    }
  }
  await producer.disconnect()

  const consumer = kafka.consumer({ groupId: 'js' })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const values = []
  await new Promise((resolve, reject) => {
    consumer.run({ eachMessage: async ({ message }) => {
      values.push(message.value.toString() + message.headers.h.toString())
      if (values.length === 10) resolve()
    } }).catch(reject)
    setTimeout(() => reject(new Error('only ' + values.length + ' of 10 messages')), 30000).unref()
  })
  await consumer.disconnect()
  const [{ partitions }] = await admin.fetchOffsets({ groupId: 'js', topics: [topic] })
  const committed = partitions.reduce((sum, p) => sum + Math.max(0, Number(p.offset)), 0)
  await admin.disconnect()
  console.log(values.sort().join(' '), committed)
}
main().catch(e => { console.error(e); process.exit(1) })
