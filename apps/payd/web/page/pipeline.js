// @ts-check
import { h, say } from './dom.js';
import { store } from './store.js';
import { dec, int, short } from './format.js';
import { spark } from './figures.js';

// The way of a message: topics, and the groups between them.
const way = ['telematics', 'clean', 'telematics.clean', 'analytics', 'driver-scores', 'pricing', 'premiums'];
const aside = ['driving-events', 'telematics.dlq'];

/** A long name may break before a dot and after a hyphen. @param {string} name */
const breakable = (name) => name.split(/(?=[.])|(?<=-)/).flatMap((part, i) => (i ? [h('wbr'), part] : [part]));

customElements.define('pay-pipeline', class extends HTMLElement {
  /** @type {Map<string, any>} */
  parts = new Map();
  dead = h('ul', { class: 'dead' });

  connectedCallback() {
    const flow = h('ol', { class: 'flow' });
    way.forEach((name, i) => flow.append(i % 2 ? this.group(name) : this.topic(name)));
    this.append(flow, h('div', { class: 'aside' },
      h('ul', { class: 'topics' }, ...aside.map((name) => this.topic(name))),
      h('div', { class: 'letters' }, h('h3', { text: 'Dead letters by reason' }), this.dead)));
    store.addEventListener('tick', () => this.draw());
  }

  /** @param {string} name */
  topic(name) {
    const rate = h('span', { class: 'rate', text: '–' }), total = h('span', { class: 'sub', text: ' ' });
    this.parts.set(name, { rate, total });
    return h('li', { class: 'topic' }, h('span', { class: 'kind', text: 'topic' }), h('b', {}, ...breakable(name)), rate, total);
  }

  /** @param {string} name */
  group(name) {
    const lag = h('strong', { text: '–' }), does = h('span', { class: 'sub', text: ' ' });
    const node = h('li', { class: 'group', 'data-state': 'wait' }), line = spark();
    this.parts.set(name, { node, lag, does, line });
    node.append(h('span', { class: 'kind', text: 'group' }), h('b', { text: name }),
      h('span', { class: 'lag' }, 'lag ', lag), line.node, does);
    return node;
  }

  draw() {
    const s = store.status;
    for (const topic of s?.topics ?? []) {
      const part = this.parts.get(topic.name);
      if (!part) continue;
      say(part.rate, `${topic.rate < 10 ? dec(topic.rate) : int(topic.rate)} /s`);
      say(part.total, `${short(topic.total)} records`);
    }
    for (const group of s?.groups ?? []) {
      const part = this.parts.get(group.name);
      if (!part) continue;
      say(part.lag, short(group.lag));
      say(part.does, group.state === 'Stable' ? group.does : `${group.state || 'starting'} · ${group.does}`);
      part.node.dataset.state = group.state !== 'Stable' ? 'wait' : group.lag > 5000 ? 'behind' : 'ok';
      part.line.draw(store.series.get(`lag ${group.name}`) ?? [], 20);
    }
    this.drawDead(s?.dead ?? []);
  }

  /** @param {import('./store.js').DeadLetter[]} letters */
  drawDead(letters) {
    const most = Math.max(1, ...letters.map((l) => l.n));
    const rows = letters.map((l) => h('li', { '--share': l.n / most },
      h('code', { text: l.reason }), h('span', { class: 'bar' }), h('b', { text: int(l.n) }), h('span', { class: 'sub', text: l.text })));
    if (rows.length === 0) rows.push(h('li', { class: 'empty', text: 'None. Whatever is refused will be listed here, with its bytes kept in telematics.dlq.' }));
    this.dead.replaceChildren(...rows);
  }
});
