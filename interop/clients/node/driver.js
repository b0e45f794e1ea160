// What the drivers of Node's client libraries have in common: the arguments, the answer, the records and how a check is
// run. ../README.md is the contract; checks.js has the checks. A driver extends Library; what it leaves is answered
// "unsupported".
'use strict'
const { createHash } = require('node:crypto')
const { setTimeout: pause } = require('node:timers/promises')

// Unsupported: the library has no such feature; the text says which.
class Unsupported extends Error {}

// Failed: the check saw something else than it had to.
class Failed extends Error {}

// NamedError is an error that the library tells by its return value.
class NamedError extends Error {
  constructor(name) {
    super(name)
    this.kafkaName = name
  }
}

// A record is {key, value, headers: [[name, Buffer or null]], timestamp, partition, offset, logAppend}; key, value: Buffer
// or null; logAppend undefined where the library does not say.

const lacks = what => async () => { throw new Unsupported(what) }

// Library is a client library connected to params.bootstrap. Offsets are of partition 0, -1 where there is none.
class Library {
  constructor(params) { this.params = params }
  async open() {}
  async close() {}
  // errorName is Kafka's name of an error, if the library shows it.
  errorName(error) { return undefined }
  // produce writes in order and returns the offset of each record, -1 where unknown.
  // read opens a reader at 'start', 'end' or an offset, where it is when this returns: next() -> records, close().
  // join opens a member: poll() -> records, held (a Set), assigned, revoked, commit({partition: offset}), leave(), stop().
}
Object.assign(Library.prototype, {
  createTopic: lacks('no API to create topics'),
  describe: lacks('no metadata API'),
  offsetAt: lacks('no offsets by time'),
  committed: lacks('no committed offsets of another group'),
  listTopics: lacks('no API to list topics'),
  deleteTopic: lacks('no API to delete topics'),
  describeConfigs: lacks('no API to describe configs'),
  describeBrokerConfigs: lacks('no API to describe configs'),
  alterConfig: lacks('no API to alter configs'),
  createPartitions: lacks('no API to create partitions'),
  deleteRecords: lacks('no API to delete records'),
  listGroups: lacks('no API to list groups'),
  describeGroup: lacks('no API to describe groups'),
  deleteGroup: lacks('no API to delete groups'),
  earliest: lacks('no API to list offsets'),
  latest: lacks('no API to list offsets'),
  maxTimestamp: lacks('no offset of the largest timestamp'),
  alterOffset: lacks("no API to alter a group's offsets"),
  deleteOffset: lacks("no API to delete a group's offsets"),
  describeCluster: lacks('no API to describe the cluster'),
  describeLogDirs: lacks('no API to describe log directories'),
  describeProducers: lacks('no API to describe producers'),
  describeFeatures: lacks('no API to describe features'),
  electLeader: lacks('no API to elect leaders'),
  listReassignments: lacks('no API to reassign partitions'),
  reassign: lacks('no API to reassign partitions'),
  describeAcls: lacks('no API for ACLs'),
  createAcl: lacks('no API for ACLs'),
  deleteAcl: lacks('no API for ACLs'),
  describeScram: lacks('no API for SCRAM credentials'),
  createToken: lacks('no API for delegation tokens'),
  quotas: lacks('no API for quotas'),
  setQuota: lacks('no API for quotas'),
  // transactional is a producer with write(topic, records), which begins, commit(), abort(), close().
  transactional: lacks('no transactions')
})

// Run is one check under way.
class Run {
  constructor(library, params) {
    Object.assign(this, { library, params, topic: params.topic, group: params.group, replicas: params.replication_factor ?? 1, facts: {} })
    this.deadline = Date.now() + params.timeout_ms * 0.9
  }

  late() { return Date.now() > this.deadline }

  // until asks again and again, with short pauses, until the condition holds or the check's time is over.
  async until(what, holds) {
    while (!await holds()) {
      if (this.late()) throw new Failed(what + ': not before the time was over')
      await pause(20)
    }
  }

  name(error) {
    return error.kafkaName ?? this.library.errorName(error) ?? 'client:' + (error.code ?? error.name)
  }

  // fact notes the name of the error that a call ends with, unless the library cannot ask.
  async fact(name, call) {
    try {
      await call()
      this.facts[name] = 'NONE'
    } catch (error) {
      if (error instanceof Unsupported) return error
      this.facts[name] = this.name(error)
    }
  }

  // ask notes what a call returns, or the name of its error, unless the library cannot ask.
  async ask(name, call) {
    try {
      this.facts[name] = await call()
    } catch (error) {
      if (error instanceof Unsupported) return error
      this.facts[name] = this.name(error)
    }
  }

  expect(what, saw, want) {
    if (JSON.stringify(saw) !== JSON.stringify(want)) throw new Failed(`${what}: ${JSON.stringify(saw)}, expected ${JSON.stringify(want)}`)
  }

  // create creates a topic and waits until metadata shows all of it.
  async create(topic, partitions, configs = {}) {
    await this.library.createTopic(topic, partitions, this.replicas, configs)
    await this.shown(topic, partitions)
  }

  async shown(topic, partitions) {
    await this.until('metadata of ' + topic, async () => {
      try {
        const d = await this.library.describe(topic)
        return d.partitions === partitions && d.leadersKnown
      } catch (error) {
        if (error instanceof Unsupported) throw error
        return false
      }
    })
  }

  // produce writes records and checks that the offsets acknowledged, where they are known, follow base.
  async produce(topic, base, records, options = {}) {
    const offsets = await this.library.produce(topic, records, options)
    const wrong = offsets.findIndex((offset, i) => offset !== -1 && offset !== base + i)
    if (wrong >= 0) throw new Failed(`acknowledged offset of record ${wrong}: ${offsets[wrong]}, expected ${base + wrong}`)
    this.expect('offsets acknowledged', offsets.length, records.length)
  }

  // readAll reads n records from a position and checks that their offsets are consecutive.
  async readAll(topic, at, n, options = {}) {
    const reader = await this.library.read(topic, at, options)
    const got = await this.next(reader, n)
    await reader.close()
    return got
  }

  async next(reader, n) {
    const got = []
    await this.until(`${n} records read`, async () => {
      got.push(...await reader.next())
      return got.length >= n
    })
    this.expect('records read', got.length, n)
    this.expect('offsets read', got.map(r => r.offset), got.map((_, i) => got[0].offset + i))
    return got
  }
}

function value(i, size = 200) {
  return Buffer.from(`value-${String(i).padStart(4, '0')}-`.padEnd(size, 'x'))
}

// records are the canonical records from start to end-1.
function records(start, end, partition = 0) {
  return Array.from({ length: end - start }, (_, n) => ({
    key: Buffer.from('key-' + String(start + n).padStart(4, '0')), value: value(start + n), headers: [], partition
  }))
}

function digest(rs) {
  const hash = createHash('sha256')
  for (const r of rs) hash.update(Buffer.concat([r.key, Buffer.from('|'), r.value, Buffer.from('\n')]))
  return hash.digest('hex')
}

// Buffered is what a library that pushes records pushes them into.
class Buffered {
  constructor() { this.buffer = [] }
  push(record) { this.buffer.push(record) }
  async next() {
    if (this.failure) throw this.failure
    return this.buffer.splice(0)
  }
}

function answer(status, facts, detail) {
  process.stdout.write(JSON.stringify({ status, detail, facts }) + '\n', () => process.exit(0))
}

async function main(client, version, LibraryClass) {
  const [check, json] = process.argv.slice(2)
  if (check === 'version') return answer('ok', { client, version })
  const params = JSON.parse(json)
  const library = new LibraryClass(params)
  const run = new Run(library, params)
  try {
    await library.open()
    await require('./checks.js')[check](run)
    answer('ok', run.facts)
  } catch (error) {
    if (error instanceof Unsupported) return answer('unsupported', {}, error.message)
    console.error(error)
    answer('failed', run.facts, (error instanceof Failed ? '' : error.name + ': ') + error.message.replaceAll('\n', ' '))
  }
}

module.exports = { Library, Unsupported, Failed, NamedError, Buffered, records, value, digest, main, pause }
