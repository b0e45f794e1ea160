// The checks, by the names of ../README.md.
'use strict'
const { Unsupported, Failed, records, value, digest } = require('./driver.js')

const groupPartitions = 4
const hour = 3600_000

async function topicCreate(run) {
  await run.create(run.topic, 3)
  run.facts.partitions = 3
  await run.fact('again', () => run.library.createTopic(run.topic, 3, run.replicas, {}))
  await run.fact('invalid_name', () => run.library.createTopic('a/b', 1, 1, {}))
  await run.fact('replication_factor_3', () => run.library.createTopic(run.topic + '-three', 1, 3, {}))
}

async function metadata(run) {
  await run.create(run.topic, 3)
  const d = await run.library.describe(run.topic)
  Object.assign(run.facts, { partitions: d.partitions, leaders_known: d.leadersKnown })
  const c = await run.library.describeCluster()
  Object.assign(run.facts, { brokers: c.brokers, controller_known: c.controller_known })
  await run.fact('unknown_topic', () => run.library.describe(run.topic + '-unknown'))
}

const produceWith = options => async run => {
  await run.create(run.topic, 1)
  const written = records(0, 100)
  await run.produce(run.topic, 0, written, options)
  const got = await run.readAll(run.topic, 'start', 100)
  Object.assign(run.facts, { base_offset: got[0].offset, count: got.length, sha256: digest(got) })
  run.expect('sha256 of what was read', digest(got), digest(written))
}

async function produceHeaders(run) {
  await run.create(run.topic, 1)
  const written = records(0, 2)
  written[0].headers = [['a', Buffer.from('1')], ['a', Buffer.from('2')], ['empty', Buffer.alloc(0)], ['null', null], ['b', Buffer.from('3')]]
    .filter(([, v]) => v !== null || !run.library.noNullHeaders)
  await run.produce(run.topic, 0, written)
  const got = await run.readAll(run.topic, 'start', 2)
  run.facts.headers = got.map(r => r.headers.map(([k, v]) => [k, v === null ? null : v.toString()]))
  // Some libraries read no bytes and null as the same; the fact shows it.
  const plain = rs => rs.map(r => r.headers.map(([k, v]) => [k, v === null ? '' : v.toString()]))
  run.expect('headers', plain(got), plain(written))
}

async function produceTimestamps(run) {
  let appended = run.params.topic_log_append
  if (!appended) {
    appended = run.topic + '-append'
    await run.create(appended, 1, { 'message.timestamp.type': 'LogAppendTime' })
  }
  await run.create(run.topic, 1)
  const given = Date.now() - hour
  const readBack = async topic => {
    const written = records(0, 1)
    written[0].timestamp = given
    const [offset] = await run.library.produce(topic, written, {})
    return (await run.readAll(topic, offset, 1))[0]
  }
  const created = await readBack(run.topic)
  const stamped = await readBack(appended)
  run.facts.create_time_kept = created.timestamp === given
  // Whether the other one is later is the comparison's to judge: some libraries do not look at the type.
  run.facts.log_append_time_later = stamped.timestamp > given
  run.expect('the timestamp read', created.timestamp, given)
}

async function produceTooLarge(run) {
  let topic = run.params.topic_small
  if (!topic) {
    topic = run.topic
    await run.create(topic, 1, { 'max.message.bytes': '10000' })
  }
  const large = records(0, 1)
  large[0].value = value(0, 20000)
  await run.fact('error', () => run.library.produce(topic, large, {}))
  await run.fact('small', () => run.library.produce(topic, records(0, 1), {}))
  if (run.facts.error === 'NONE' || run.facts.small !== 'NONE') throw new Failed('a record of 20000 bytes was accepted, or one of 200 was not')
}

async function produceIdempotent(run) {
  await run.create(run.topic, 1)
  await run.produce(run.topic, 0, records(0, 1000), { idempotent: true, batchRecords: 100 })
  const keys = (await run.readAll(run.topic, 'start', 1000)).map(r => r.key.toString())
  const distinct = new Set(keys).size
  const inOrder = keys.every((k, i) => i === 0 || keys[i - 1] < k)
  Object.assign(run.facts, { count: keys.length, distinct, in_order: inOrder })
  run.expect('distinct and in order', [distinct, inOrder], [1000, true])
}

async function readFrom(run, at, first, n) {
  const got = await run.readAll(run.topic, at, n)
  Object.assign(run.facts, { first_offset: got[0].offset, count: got.length })
  run.expect('first offset read', got[0].offset, first)
}

const consumeFrom = (at, first) => async run => {
  await run.create(run.topic, 1)
  await run.produce(run.topic, 0, records(0, 100))
  await readFrom(run, at, first, 100 - first)
}

async function consumeEnd(run) {
  await run.create(run.topic, 1)
  await run.produce(run.topic, 0, records(0, 100))
  const reader = await run.library.read(run.topic, 'end', {})
  await run.produce(run.topic, 100, records(100, 110))
  const got = await run.next(reader, 10)
  await reader.close()
  Object.assign(run.facts, { first_offset: got[0].offset, count: got.length })
  run.expect('first offset read', got[0].offset, 100)
}

// timed are 100 records a second apart, and the time of the first.
function timed() {
  const start = Date.now() - 1000_000
  const rs = records(0, 100)
  rs.forEach((r, i) => { r.timestamp = start + i * 1000 })
  return [rs, start]
}

async function consumeTimestamp(run) {
  await run.create(run.topic, 1)
  const [rs, start] = timed()
  await run.produce(run.topic, 0, rs)
  await readFrom(run, await run.library.offsetAt(run.topic, start + 41500), 42, 58)
  await run.ask('beyond_end', () => run.library.offsetAt(run.topic, Date.now() + hour))
}

async function consumeMaxBytes(run) {
  await run.create(run.topic, 1)
  for (let i = 0; i < 5; i++) {
    const [r] = records(i, i + 1)
    await run.produce(run.topic, i, [{ ...r, value: value(i, 10000) }])
  }
  const got = await run.readAll(run.topic, 'start', 5, { partitionBytesMax: 1000 })
  Object.assign(run.facts, { first_offset: got[0].offset, count: got.length })
}

// Group is the members of a group and what they have read.
class Group {
  constructor(run) { Object.assign(this, { run, members: [], seen: new Map() }) }

  async join(...options) {
    for (const o of options) this.members.push(await this.run.library.join(this.run.topic, this.run.group, o))
    return this
  }

  async until(what, holds) {
    await this.run.until(what, async () => {
      for (const member of this.members) {
        for (const r of await member.poll()) {
          const key = r.partition + '/' + r.offset
          this.seen.set(key, (this.seen.get(key) ?? 0) + 1)
        }
      }
      return holds()
    })
  }

  counts() { return this.members.map(m => m.held.size).sort() }

  // shares waits until the members hold so many partitions each and all of them together.
  async shares(...want) {
    await this.until(`shares of ${want}`, () => this.counts().join() === want.join() &&
      new Set(this.members.flatMap(m => [...m.held])).size === groupPartitions)
  }

  // read writes 25 records to each partition, from offset base on, and waits until the members have read them.
  async read(base) {
    const before = this.seen.size
    for (let p = 0; p < groupPartitions; p++) await this.run.produce(this.run.topic, base, records(base, base + 25, p))
    await this.until('100 records read', () => this.seen.size - before >= 100)
    return this.seen.size - before
  }

  async commit(offset) {
    for (const member of this.members) await member.commit(Object.fromEntries([...member.held].map(p => [p, offset])))
  }

  duplicates() { return [...this.seen.values()].reduce((sum, n) => sum + n - 1, 0) }

  async leave() { for (const member of this.members) await member.leave() }
}

// shareAndLeave is group.two; it returns how many partitions the first member had to give up after the second left.
async function shareAndLeave(run, assignor) {
  await run.create(run.topic, groupPartitions)
  const group = await new Group(run).join({ assignor }, { assignor })
  await group.shares(2, 2)
  run.facts.before = group.counts()
  run.facts.read_before = await group.read(0)
  await group.commit(25)
  const [survivor, leaver] = group.members
  let revoked = survivor.revoked
  await leaver.leave()
  group.members = [survivor]
  await group.shares(4)
  run.facts.after = group.counts()
  run.facts.read_after = await group.read(25)
  run.facts.duplicates = group.duplicates()
  revoked = survivor.revoked - revoked
  await group.leave()
  run.expect('records read twice', run.facts.duplicates, 0)
  return revoked
}

async function groupCooperative(run) {
  run.facts.survivor_revoked = await shareAndLeave(run, 'cooperative-sticky')
  run.expect('partitions taken from the survivor', run.facts.survivor_revoked, 0)
}

async function groupStatic(run) {
  await run.create(run.topic, groupPartitions)
  const group = await new Group(run).join({ instance: 'a' }, { instance: 'b' })
  await group.shares(2, 2)
  run.facts.before = group.counts()
  const [first, other] = group.members
  const held = [...first.held].sort()
  const assigned = other.assigned
  await first.stop()
  group.members[0] = await run.library.join(run.topic, run.group, { instance: 'a' })
  await group.shares(2, 2)
  run.facts.read = await group.read(0)
  run.facts.same_partitions = [...group.members[0].held].sort().join() === held.join()
  run.facts.rebalances_of_other = other.assigned - assigned
  run.facts.duplicates = group.duplicates()
  await group.leave()
  run.expect('same partitions, rebalances', [run.facts.same_partitions, run.facts.rebalances_of_other], [true, 0])
}

// readAsMember has a new member read n records or more.
async function readAsMember(run, n) {
  const member = await run.library.join(run.topic, run.group, {})
  const got = []
  await run.until(`${n} records read`, async () => {
    got.push(...await member.poll())
    return got.length >= n
  })
  return [member, got]
}

async function groupCommit(run) {
  await run.create(run.topic, 1)
  await run.produce(run.topic, 0, records(0, 100))
  const [member, got] = await readAsMember(run, 50)
  Object.assign(run.facts, { first_offset: got[0].offset, count: 50 })
  await member.commit({ 0: got[49].offset + 1 })
  await member.leave()
  await run.ask('committed', () => run.library.committed(run.group, run.topic))
  run.expect('first offset and commit', [got[0].offset, run.facts.committed], [0, 50])
}

async function groupResume(run) {
  const [member, got] = await readAsMember(run, 50)
  await member.leave()
  Object.assign(run.facts, { first_offset: got[0].offset, count: got.length })
  run.expect('first offset and count', [got[0].offset, got.length], [50, 50])
}

async function groupUnknown(run) {
  await run.create(run.topic, 1)
  Object.assign(run.facts, { committed: -1, error: 'NONE' })
  try {
    run.facts.committed = await run.library.committed(run.group + '-unknown', run.topic)
  } catch (error) {
    if (error instanceof Unsupported) throw error
    run.facts.error = run.name(error)
  }
}

async function adminTopics(run) {
  const { library, topic } = run
  await run.create(topic, 3)
  await run.until('the topic in the list', async () => (await library.listTopics()).includes(topic))
  run.facts.listed = true
  run.facts.partitions = (await library.describe(topic)).partitions
  await run.fact('deleted', () => library.deleteTopic(topic))
  await run.until('gone from the list', async () => !(await library.listTopics()).includes(topic))
  run.facts.listed_after = false
  await run.fact('delete_unknown', () => library.deleteTopic(topic + '-unknown'))
  await run.fact('describe_unknown', () => library.describe(topic + '-unknown'))
}

async function adminConfigs(run) {
  const { library, topic } = run
  await run.create(topic, 1, { 'cleanup.policy': 'compact' })
  const two = async () => {
    const all = await library.describeConfigs(topic)
    return { 'retention.ms': all['retention.ms'], 'cleanup.policy': all['cleanup.policy'] }
  }
  await run.until('the settings of the topic', async () => { // another broker may answer than the one that has shown it
    try {
      run.facts.before = await two()
    } catch (error) {
      if (run.name(error) !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
      return false
    }
    return true
  })
  await run.fact('altered', () => library.alterConfig(topic, 'retention.ms', '86400000'))
  await run.until('the altered value', async () => {
    run.facts.after = await two()
    return run.facts.after['retention.ms'].value === '86400000'
  })
  run.facts.other_kept = run.facts.after['cleanup.policy'].value === 'compact'
  await run.fact('bad_key', () => library.alterConfig(topic, 'no.such.key', '1'))
  await run.fact('bad_value', () => library.alterConfig(topic, 'retention.ms', 'abc'))
  await run.fact('unknown_topic', () => library.describeConfigs(topic + '-unknown'))
  await run.fact('broker', () => library.describeBrokerConfigs())
}

async function adminPartitions(run) {
  const { library, topic } = run
  await run.create(topic, 2)
  await run.fact('grown', () => library.createPartitions(topic, 4))
  await run.shown(topic, 4)
  run.facts.partitions = 4
  await run.fact('fewer', () => library.createPartitions(topic, 3))
  await run.fact('same', () => library.createPartitions(topic, 4))
  await run.fact('unknown_topic', () => library.createPartitions(topic + '-unknown', 4))
}

async function adminRecords(run) {
  const { library, topic } = run
  await run.create(topic, 1)
  await run.produce(topic, 0, records(0, 100))
  const deleteTo = async (name, before) => {
    const low = await library.deleteRecords(topic, before)
    if (low !== undefined) run.facts[name] = low
  }
  await deleteTo('low_watermark', 42)
  run.facts.deleted = 'NONE'
  await run.ask('earliest', () => library.earliest(topic))
  await run.fact('beyond_end', () => library.deleteRecords(topic, 1000))
  await deleteTo('all_low_watermark', -1)
  await run.fact('unknown_topic', () => library.deleteRecords(topic + '-unknown', 1))
}

async function adminGroups(run) {
  const { library } = run
  await run.create(run.topic, groupPartitions)
  const group = await new Group(run).join({})
  await group.shares(groupPartitions)
  run.facts.listed = (await library.listGroups()).includes(run.group)
  Object.assign(run.facts, await library.describeGroup(run.group))
  await run.fact('delete_non_empty', () => library.deleteGroup(run.group))
  await group.leave()
  await run.until('an empty group', async () => (await library.describeGroup(run.group)).state === 'EMPTY')
  run.facts.empty_state = 'EMPTY'
  await run.fact('deleted', () => library.deleteGroup(run.group))
  run.facts.listed_after = (await library.listGroups()).includes(run.group)
  await run.fact('delete_unknown', () => library.deleteGroup(run.group + '-unknown'))
  await run.ask('describe_unknown', async () => (await library.describeGroup(run.group + '-unknown')).state)
}

async function adminOffsets(run) {
  const { library, topic, group } = run
  await run.create(topic, 1)
  const [rs, start] = timed()
  rs[60].timestamp = start + 500_000
  await run.produce(topic, 0, rs)
  await run.ask('earliest', () => library.earliest(topic))
  await run.ask('latest', () => library.latest(topic))
  await run.ask('max_timestamp', () => library.maxTimestamp(topic))
  await run.ask('timestamp', () => library.offsetAt(topic, start + 41500))
  await run.fact('altered', () => library.alterOffset(group, topic, 17))
  await run.ask('committed', () => library.committed(group, topic))
  if (await run.fact('deleted', () => library.deleteOffset(group, topic))) return
  await run.ask('committed_after', () => library.committed(group, topic))
  await run.fact('delete_unknown_group', () => library.deleteOffset(group + '-unknown', topic))
}

async function adminCluster(run) {
  Object.assign(run.facts, await run.library.describeCluster())
}

async function adminLogDirs(run) {
  await run.create(run.topic, 3)
  await run.produce(run.topic, 0, records(0, 100))
  let d
  await run.until('all partitions in the directories', async () => { // Kafka makes them after its answer
    d = await run.library.describeLogDirs(run.topic)
    return d.partitions === 3
  })
  Object.assign(run.facts, { error: 'NONE', dirs: d.dirs, partitions: d.partitions, size_positive: d.size > 0 })
}

async function adminElect(run) {
  await run.create(run.topic, 1)
  const lack = await run.fact('preferred', () => run.library.electLeader(run.topic, false))
  if (lack) throw lack
}

async function adminReassign(run) {
  await run.create(run.topic, 1)
  run.facts.count = 0
  const lack = await run.fact('error', async () => { run.facts.count = await run.library.listReassignments() })
  if (lack) throw lack
  await run.fact('cancel', () => run.library.reassign(run.topic, null))
  await run.fact('unknown_broker', () => run.library.reassign(run.topic, [99]))
}

async function laterAcls(run) {
  await run.fact('describe', () => run.library.describeAcls())
  await run.fact('create', () => run.library.createAcl(run.topic))
  await run.fact('delete', () => run.library.deleteAcl(run.topic))
}

async function laterQuotas(run) {
  const lack = await run.fact('describe', async () => { run.facts.count = (await run.library.quotas(run.topic)).length })
  if (lack) throw lack
  await run.fact('altered', () => run.library.setQuota(run.topic, 1e6))
  if (run.facts.altered !== 'NONE') return
  await run.until('the quota', async () => (await run.library.quotas(run.topic)).length > 0)
  run.facts.value = (await run.library.quotas(run.topic))[0]
}

async function laterTransactions(run) {
  await run.create(run.topic, 1)
  let producer
  const lack = await run.fact('init', async () => { producer = await run.library.transactional(run.topic) })
  if (lack) throw lack
  if (run.facts.init !== 'NONE') return
  for (const [i, step] of ['commit', 'abort', 'commit'].entries()) {
    await run.fact('write', () => producer.write(run.topic, records(10 * i, 10 * i + 10)))
    if (run.facts.write !== 'NONE') return
    await run.fact(step, () => producer[step]())
    if (run.facts[step] !== 'NONE') return
  }
  delete run.facts.write
  await producer.close()
  const reader = await run.library.read(run.topic, 'start', { readCommitted: true })
  const got = []
  await run.until('the last record', async () => {
    got.push(...await reader.next())
    return got.at(-1)?.key.toString() === 'key-0029'
  })
  await reader.close()
  run.facts.visible = got.length
  run.expect('records visible', got.length, 20)
}

module.exports = {
  'topic.create': topicCreate,
  metadata,
  ...Object.fromEntries(['none', 'gzip', 'snappy', 'lz4', 'zstd'].map(codec => ['produce.' + codec, produceWith({ codec })])),
  ...Object.fromEntries(['0', '1', 'all'].map(acks => ['produce.acks' + acks, produceWith({ acks })])),
  'produce.headers': produceHeaders,
  'produce.timestamps': produceTimestamps,
  'produce.toolarge': produceTooLarge,
  'produce.idempotent': produceIdempotent,
  'consume.start': consumeFrom('start', 0),
  'consume.end': consumeEnd,
  'consume.offset': consumeFrom(42, 42),
  'consume.timestamp': consumeTimestamp,
  'consume.maxbytes': consumeMaxBytes,
  'group.two': run => shareAndLeave(run, 'range'),
  'group.cooperative': groupCooperative,
  'group.static': groupStatic,
  'group.commit': groupCommit,
  'group.resume': groupResume,
  'group.unknown': groupUnknown,
  'admin.topics': adminTopics,
  'admin.configs': adminConfigs,
  'admin.partitions': adminPartitions,
  'admin.records': adminRecords,
  'admin.groups': adminGroups,
  'admin.offsets': adminOffsets,
  'admin.cluster': adminCluster,
  'admin.logdirs': adminLogDirs,
  'admin.producers': run => run.library.describeProducers(run.topic),
  'admin.features': run => run.library.describeFeatures(),
  'admin.elect': adminElect,
  'admin.reassign': adminReassign,
  'later.acls': laterAcls,
  'later.scram': run => run.library.describeScram('nobody'),
  'later.tokens': run => run.library.createToken(),
  'later.quotas': laterQuotas,
  'later.transactions': laterTransactions
}
