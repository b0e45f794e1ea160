// kafkajs, with the codecs that it leaves to others.
'use strict'
const path = require('node:path')
const zlib = require('node:zlib')
const { promisify } = require('node:util')
const modules = path.join(process.env.LOGBAHN_INTEROP, 'node', 'node_modules')
const load = name => require(path.join(modules, name))
const { Kafka, logLevel, CompressionTypes, CompressionCodecs, ConfigResourceTypes, ConfigSource } = load('kafkajs')
const { Library, Unsupported, NamedError, Buffered, main } = require('./driver.js')

const lz4 = load('lz4-napi')
CompressionCodecs[CompressionTypes.Snappy] = load('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: encoder => lz4.compressFrame(encoder.buffer),
  decompress: buffer => lz4.decompressFrame(buffer)
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: encoder => promisify(zlib.zstdCompress)(encoder.buffer),
  decompress: promisify(zlib.zstdDecompress)
})
const codecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD }
const sources = Object.fromEntries(Object.entries(ConfigSource).map(([name, n]) => [n, name]))

function toMessage(r) {
  const headers = {}
  for (const [name, v] of r.headers) headers[name] = name in headers ? [].concat(headers[name], v) : v
  return { key: r.key, value: r.value, headers, partition: r.partition, timestamp: r.timestamp === undefined ? undefined : String(r.timestamp) }
}

function toRecord(partition, m) {
  return {
    key: m.key, value: m.value, timestamp: Number(m.timestamp), partition, offset: Number(m.offset),
    headers: Object.entries(m.headers ?? {}).flatMap(([name, v]) => [].concat(v).map(one => [name, one]))
  }
}

class Reader extends Buffered {
  async open(kafka, topic, at, options) {
    this.consumer = kafka.consumer({
      groupId: topic + '-reader', maxWaitTimeInMs: 100, readUncommitted: !options.readCommitted, allowAutoTopicCreation: false,
      maxBytesPerPartition: options.partitionBytesMax ?? 1048576
    })
    await this.consumer.connect()
    await this.consumer.subscribe({ topic, fromBeginning: at === 'start' })
    const fetched = new Promise(resolve => this.consumer.on(this.consumer.events.FETCH, resolve))
    await this.consumer.run({ autoCommit: false, eachMessage: async ({ partition, message }) => this.push(toRecord(partition, message)) })
    if (at === 'end') await fetched
    if (typeof at === 'number') this.consumer.seek({ topic, partition: 0, offset: String(at) })
    return this
  }

  async close() { await this.consumer.disconnect() }
}

class Member extends Buffered {
  async open(kafka, topic, groupId) {
    Object.assign(this, { topic, held: new Set(), assigned: 0, revoked: 0 })
    this.consumer = kafka.consumer({ groupId, heartbeatInterval: 200, maxWaitTimeInMs: 100, allowAutoTopicCreation: false })
    this.consumer.on(this.consumer.events.GROUP_JOIN, ({ payload }) => {
      this.assigned++
      this.held = new Set(payload.memberAssignment[topic] ?? [])
    })
    this.consumer.on(this.consumer.events.CRASH, ({ payload }) => { this.failure = payload.error })
    await this.consumer.connect()
    await this.consumer.subscribe({ topic, fromBeginning: true })
    await this.consumer.run({ autoCommit: false, eachMessage: async ({ partition, message }) => this.push(toRecord(partition, message)) })
    return this
  }

  poll() { return this.next() }
  commit(offsets) {
    return this.consumer.commitOffsets(Object.entries(offsets).map(([p, o]) => ({ topic: this.topic, partition: Number(p), offset: String(o) })))
  }
  async leave() { await this.consumer.disconnect() }
}

class KafkaJS extends Library {
  noNullHeaders = true

  async open() {
    this.kafka = new Kafka({ brokers: this.params.bootstrap.split(','), clientId: 'interop', logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, retries: 3 } })
    this.admin = this.kafka.admin()
    await this.admin.connect()
  }

  // kafkajs wraps the broker's error, in lists or as a cause.
  errorName(error) {
    if (error?.type) return error.type === 'UNKNOWN' ? 'UNKNOWN_SERVER_ERROR' : error.type
    for (const inner of [error?.cause, error?.originalError, ...(error?.errors ?? []), ...(error?.groups ?? []).map(g => g.error), ...(error?.partitions ?? []).map(p => p.error)]) {
      const name = inner && this.errorName(inner)
      if (name) return name
    }
  }

  async createTopic(topic, partitions, replicas, configs) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    const created = await this.admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: replicas, configEntries }], waitForLeaders: false })
    if (!created) throw new NamedError('TOPIC_ALREADY_EXISTS')
  }

  async describe(topic) {
    const { topics: [t] } = await this.admin.fetchTopicMetadata({ topics: [topic] })
    return { partitions: t.partitions.length, leadersKnown: t.partitions.every(p => p.leader >= 0) }
  }

  async produce(topic, records, { codec = 'none', acks = 'all', idempotent = false, batchRecords = records.length }) {
    const producer = this.kafka.producer({ idempotent, maxInFlightRequests: idempotent ? 1 : null, allowAutoTopicCreation: false })
    await producer.connect()
    const offsets = []
    try {
      for (let i = 0; i < records.length; i += batchRecords) {
        const chunk = records.slice(i, i + batchRecords)
        const sent = await producer.send({ topic, acks: { 0: 0, 1: 1, all: -1 }[acks], compression: codecs[codec], messages: chunk.map(toMessage) })
        chunk.forEach((_, n) => offsets.push(acks === '0' ? -1 : Number(sent[0].baseOffset) + n))
      }
    } finally {
      await producer.disconnect()
    }
    return offsets
  }

  read(topic, at, options) { return new Reader().open(this.kafka, topic, at, options) }

  async join(topic, group, { assignor = 'range', instance }) {
    if (assignor === 'cooperative-sticky') throw new Unsupported('no cooperative assignor')
    if (instance) throw new Unsupported('no static membership')
    return new Member().open(this.kafka, topic, group)
  }

  async offsetAt(topic, timestamp) { return Number((await this.admin.fetchTopicOffsetsByTimestamp(topic, timestamp))[0].offset) }
  async committed(groupId, topic) { return Number((await this.admin.fetchOffsets({ groupId, topics: [topic] }))[0].partitions.find(p => p.partition === 0).offset) }
  listTopics() { return this.admin.listTopics() }
  deleteTopic(topic) { return this.admin.deleteTopics({ topics: [topic] }) }

  async configs(type, name) {
    const { resources: [r] } = await this.admin.describeConfigs({ resources: [{ type, name }], includeSynonyms: true })
    return Object.fromEntries(r.configEntries.map(e => [e.configName, {
      value: e.configValue, source: sources[e.configSource], read_only: e.readOnly, sensitive: e.isSensitive,
      synonyms: e.configSynonyms.map(s => `${s.configName}=${s.configValue}@${sources[s.configSource]}`)
    }]))
  }

  describeConfigs(topic) { return this.configs(ConfigResourceTypes.TOPIC, topic) }
  async describeBrokerConfigs() {
    const { brokers } = await this.admin.describeCluster()
    return this.configs(ConfigResourceTypes.BROKER, String(brokers[0].nodeId))
  }
  alterConfig(topic, name, value) {
    return this.admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name, value }] }] })
  }

  createPartitions(topic, count) { return this.admin.createPartitions({ topicPartitions: [{ topic, count }] }) }
  deleteRecords(topic, before) { return this.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(before) }] }) }
  async listGroups() { return (await this.admin.listGroups()).groups.map(g => g.groupId) }

  async describeGroup(group) {
    const { groups: [g] } = await this.admin.describeGroups([group])
    return { state: g.state.toUpperCase(), members: g.members.length, protocol_type: g.protocolType, protocol: g.protocol }
  }

  deleteGroup(group) { return this.admin.deleteGroups([group]) }
  async topicOffsets(topic) { return (await this.admin.fetchTopicOffsets(topic))[0] }
  async earliest(topic) { return Number((await this.topicOffsets(topic)).low) }
  async latest(topic) { return Number((await this.topicOffsets(topic)).high) }
  alterOffset(groupId, topic, offset) { return this.admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: String(offset) }] }) }

  async describeCluster() {
    const c = await this.admin.describeCluster()
    return { brokers: c.brokers.length, controller_known: c.controller !== null && c.controller >= 0, cluster_id_known: Boolean(c.clusterId) }
  }

  async listReassignments() { return (await this.admin.listPartitionReassignments({})).topics.length }
  reassign(topic, replicas) {
    if (replicas === null) throw new Unsupported('no way to cancel a reassignment')
    return this.admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment: [{ partition: 0, replicas }] }] })
  }

  // The numbers are the protocol's, as kafkajs takes them: any, match; topic, literal, read, allow.
  describeAcls() { return this.admin.describeAcls({ resourceType: 1, resourcePatternType: 1, operation: 1, permissionType: 1 }) }
  acl(topic) {
    return { resourceType: 2, resourceName: topic, resourcePatternType: 3, principal: 'User:a', host: '*', operation: 3, permissionType: 3 }
  }
  createAcl(topic) { return this.admin.createAcls({ acl: [this.acl(topic)] }) }
  deleteAcl(topic) { return this.admin.deleteAcls({ filters: [this.acl(topic)] }) }

  async transactional(transactionalId) {
    const producer = this.kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    let transaction
    return {
      async write(topic, records) {
        transaction = await producer.transaction()
        await transaction.send({ topic, messages: records.map(toMessage) })
      },
      commit: () => transaction.commit(),
      abort: () => transaction.abort(),
      close: () => producer.disconnect()
    }
  }
}

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
main('kafkajs', load('kafkajs/package.json').version, KafkaJS)
