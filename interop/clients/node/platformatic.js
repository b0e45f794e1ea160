// @platformatic/kafka.
'use strict'
const path = require('node:path')
const modules = path.join(process.env.LOGBAHN_INTEROP, 'node', 'node_modules')
const pk = require(path.join(modules, '@platformatic/kafka/dist/index.js'))
const { Library, Unsupported, Buffered, main } = require('./driver.js')

const nameOf = (table, value) => Object.keys(table).find(name => table[name] === value)

function toMessage(topic, r) {
  return {
    topic, partition: r.partition, key: r.key, value: r.value, headers: new Map(r.headers.map(([k, v]) => [Buffer.from(k), v])),
    timestamp: r.timestamp === undefined ? undefined : BigInt(r.timestamp)
  }
}

function toRecord(m) {
  return {
    key: m.key, value: m.value, timestamp: Number(m.timestamp), partition: m.partition, offset: Number(m.offset),
    headers: [...m.headers].map(([k, v]) => [k.toString(), v ?? null])
  }
}

class Reader extends Buffered {
  async open(library, topic, at, options) {
    this.consumer = new pk.Consumer(library.options({
      groupId: topic + '-reader', autocommit: false, maxWaitTime: 100, maxBytesPerPartition: options.partitionBytesMax,
      isolationLevel: options.readCommitted ? 1 : 0
    }))
    const manual = typeof at === 'number'
    const mode = manual ? 'manual' : { start: 'earliest', end: 'latest' }[at]
    const offsets = manual ? [{ topic, partition: 0, offset: BigInt(at) }] : undefined
    this.stream = await this.consumer.consume({ topics: [topic], mode, offsets })
    const fetched = new Promise(resolve => this.stream.once('fetch', resolve))
    this.stream.on('data', m => this.push(toRecord(m)))
    this.stream.on('error', error => { this.failure = error })
    if (at === 'end') await fetched
    return this
  }

  close() { return this.consumer.close(true) }
}

class Member extends Buffered {
  async open(library, topic, groupId, { assignor = 'range', instance }) {
    Object.assign(this, { topic, held: new Set(), assigned: 0, revoked: 0 })
    const cooperative = assignor === 'cooperative-sticky'
    this.consumer = new pk.Consumer(library.options({
      groupId, groupInstanceId: instance, autocommit: false, maxWaitTime: 100, heartbeatInterval: 200,
      ...(cooperative ? { protocols: [{ name: 'cooperative-sticky', version: 1 }] } : {})
    }))
    this.consumer.on('consumer:group:join', () => {
      this.share = new Set((this.consumer.assignments ?? []).filter(a => a.topic === topic).flatMap(a => a.partitions))
      this.fetches = 0
    })
    this.stream = await this.consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' })
    // A fetch that is under way while the group rebalances still delivers, next to the one that follows it; what is
    // written before both have ended comes twice. So a share counts when they have.
    this.stream.on('fetch', () => { if (this.share && ++this.fetches > 2) this.take(cooperative) })
    // Given partitions that it held in an earlier generation, it first fetches from where it was then, and only then from what
    // was committed since: what it gets from before that says nothing about the broker.
    this.commits = library.commits
    this.stream.on('data', m => { if (!(m.offset < this.commits.get(m.partition))) this.push(toRecord(m)) })
    this.stream.on('error', error => { this.failure = error })
    return this
  }

  take(cooperative) {
    const lost = [...this.held].filter(p => !this.share.has(p)).length
    this.revoked += lost
    if (!cooperative || this.share.size > this.held.size - lost) this.assigned++
    this.held = this.share
    this.share = undefined
  }

  poll() { return this.next() }
  async commit(offsets) {
    const entries = Object.entries(offsets).map(([p, o]) => [Number(p), BigInt(o)])
    await this.consumer.commit({ offsets: entries.map(([partition, offset]) => ({ topic: this.topic, partition, offset, leaderEpoch: -1 })) })
    for (const [partition, offset] of entries) this.commits.set(partition, offset)
  }
  leave() { return this.consumer.close(true) }
  stop() { throw new Unsupported('no way to close a static member that does not leave') }
}

class Platformatic extends Library {
  commits = new Map() // what the members of the one group have committed, by partition

  async open() {
    this.admin = new pk.Admin(this.options({}))
  }

  options(more) {
    const defined = Object.fromEntries(Object.entries(more).filter(([, v]) => v !== undefined))
    return { clientId: 'interop', bootstrapBrokers: this.params.bootstrap.split(','), retries: 3, retryDelay: 50, timeout: 10_000, metadataMaxAge: 50, autocreateTopics: false, ...defined }
  }

  // The broker's error is somewhere below what is thrown.
  errorName(error) {
    if (error?.apiId) return error.apiId === 'UNKNOWN' ? 'UNKNOWN_SERVER_ERROR' : error.apiId
    for (const inner of [...(error?.errors ?? []), error?.cause]) {
      const name = inner && this.errorName(inner)
      if (name) return name
    }
  }

  createTopic(topic, partitions, replicas, configs) {
    return this.admin.createTopics({ topics: [topic], partitions, replicas, configs: Object.entries(configs).map(([name, value]) => ({ name, value })) })
  }

  async describe(topic) {
    const t = (await this.admin.metadata({ topics: [topic], forceUpdate: true, autocreateTopics: false })).topics.get(topic)
    return { partitions: t.partitions.length, leadersKnown: t.partitions.every(p => p?.leader >= 0) }
  }

  async produce(topic, records, { codec = 'none', acks = 'all', idempotent = false, batchRecords = records.length }) {
    const producer = new pk.Producer(this.options({ idempotent }))
    const offsets = []
    try {
      for (let i = 0; i < records.length; i += batchRecords) {
        const chunk = records.slice(i, i + batchRecords)
        const sent = await producer.send({ messages: chunk.map(r => toMessage(topic, r)), acks: { 0: 0, 1: 1, all: -1 }[acks], compression: codec })
        chunk.forEach((_, n) => offsets.push(acks === '0' ? -1 : Number(sent.offsets[0].offset) + n))
      }
    } finally {
      await producer.close()
    }
    return offsets
  }

  read(topic, at, options) { return new Reader().open(this, topic, at, options) }
  join(topic, group, options) { return new Member().open(this, topic, group, options) }

  async offset(topic, timestamp) {
    const [t] = await this.admin.listOffsets({ topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: BigInt(timestamp) }] }] })
    return Number(t.partitions[0].offset)
  }
  offsetAt(topic, timestamp) { return this.offset(topic, timestamp) }
  earliest(topic) { return this.offset(topic, pk.ListOffsetTimestamps.EARLIEST) }
  latest(topic) { return this.offset(topic, pk.ListOffsetTimestamps.LATEST) }
  maxTimestamp(topic) { return this.offset(topic, pk.ListOffsetTimestamps.MAX) }

  async committed(groupId, topic) {
    const [g] = await this.admin.listConsumerGroupOffsets({ groups: [{ groupId, topics: [{ name: topic, partitionIndexes: [0] }] }] })
    return Number(g.topics[0].partitions[0].committedOffset)
  }

  listTopics() { return this.admin.listTopics() }
  deleteTopic(topic) { return this.admin.deleteTopics({ topics: [topic] }) }

  async configs(resourceType, resourceName) {
    const [{ configs }] = await this.admin.describeConfigs({ resources: [{ resourceType, resourceName }], includeSynonyms: true, includeDocumentation: true })
    return Object.fromEntries(configs.map(e => [e.name, {
      value: e.value, source: nameOf(pk.ConfigSources, e.configSource), read_only: e.readOnly, sensitive: e.isSensitive,
      type: nameOf(pk.ConfigTypes, e.configType), documented: Boolean(e.documentation),
      synonyms: e.synonyms.map(s => `${s.name}=${s.value}@${nameOf(pk.ConfigSources, s.source)}`)
    }]))
  }

  describeConfigs(topic) { return this.configs(pk.ConfigResourceTypes.TOPIC, topic) }
  async describeBrokerConfigs() {
    const { brokers } = await this.admin.metadata({ topics: [], forceUpdate: true })
    return this.configs(pk.ConfigResourceTypes.BROKER, String([...brokers.keys()][0]))
  }
  alterConfig(topic, name, value) {
    return this.admin.incrementalAlterConfigs({
      resources: [{ resourceType: pk.ConfigResourceTypes.TOPIC, resourceName: topic, configs: [{ name, value, configOperation: 0 }] }]
    })
  }

  createPartitions(topic, count) { return this.admin.createPartitions({ topics: [{ name: topic, count }] }) }
  async deleteRecords(topic, before) {
    const [t] = await this.admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: BigInt(before) }] }] })
    return Number(t.partitions[0].lowWatermark)
  }

  async listGroups() { return [...(await this.admin.listGroups({})).keys()] }
  async describeGroup(group) {
    const g = (await this.admin.describeGroups({ groups: [group] })).get(group)
    return { state: g.state.toUpperCase(), members: g.members.size, protocol_type: g.protocolType, protocol: g.protocol }
  }
  deleteGroup(group) { return this.admin.deleteGroups({ groups: [group] }) }

  alterOffset(groupId, topic, offset) {
    return this.admin.alterConsumerGroupOffsets({ groupId, topics: [{ name: topic, partitionOffsets: [{ partition: 0, offset: BigInt(offset) }] }] })
  }
  deleteOffset(groupId, topic) {
    return this.admin.deleteConsumerGroupOffsets({ groupId, topics: [{ name: topic, partitionIndexes: [0] }] })
  }

  async describeCluster() {
    const m = await this.admin.metadata({ topics: [], forceUpdate: true })
    return { brokers: m.brokers.size, controller_known: m.controllerId >= 0, cluster_id_known: Boolean(m.id) }
  }

  async describeLogDirs(topic) {
    const [{ results }] = await this.admin.describeLogDirs({ topics: [{ name: topic, partitions: [0, 1, 2] }] })
    const partitions = results.flatMap(r => r.topics).filter(t => t.name === topic).flatMap(t => t.partitions)
    return { dirs: results.length, partitions: partitions.length, size: partitions.reduce((sum, p) => sum + Number(p.partitionSize), 0) }
  }

  describeAcls() {
    return this.admin.describeAcls({ filter: { resourceType: 1, resourceName: null, resourcePatternType: 1, principal: null, host: null, operation: 1, permissionType: 1 } })
  }
  acl(topic) {
    return { resourceType: 2, resourceName: topic, resourcePatternType: 3, principal: 'User:a', host: '*', operation: 3, permissionType: 3 }
  }
  createAcl(topic) { return this.admin.createAcls({ creations: [this.acl(topic)] }) }
  deleteAcl(topic) { return this.admin.deleteAcls({ filters: [this.acl(topic)] }) }

  async quotas(clientId) {
    const entries = await this.admin.describeClientQuotas({ components: [{ entityType: 'client-id', matchType: 0, match: clientId }], strict: true })
    return entries.flatMap(e => e.values).map(v => v.value)
  }
  setQuota(clientId, value) {
    return this.admin.alterClientQuotas({
      entries: [{ entities: [{ entityType: 'client-id', entityName: clientId }], ops: [{ key: 'producer_byte_rate', value, remove: false }] }], validateOnly: false
    })
  }

  async transactional(transactionalId) {
    const producer = new pk.Producer(this.options({ transactionalId, idempotent: true }))
    let transaction = await producer.beginTransaction()
    return {
      async write(topic, records) {
        transaction ??= await producer.beginTransaction()
        await transaction.send({ messages: records.map(r => toMessage(topic, r)) })
      },
      async commit() { await transaction.commit(); transaction = undefined },
      async abort() { await transaction.abort(); transaction = undefined },
      close: () => producer.close()
    }
  }
}

main('@platformatic/kafka', require(path.join(modules, '@platformatic/kafka/package.json')).version, Platformatic)
