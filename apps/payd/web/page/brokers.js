// @ts-check
import { h, say } from './dom.js';
import { store } from './store.js';
import { int } from './format.js';

// The brokers of a cluster, a button that kills the leader, and what became of every message.
customElements.define('pay-brokers', class extends HTMLElement {
  rows = h('ul', { class: 'brokers' });
  kill = h('button', { class: 'danger', type: 'button', text: 'Kill the leader', onclick: () => this.operate('kill-leader') });
  said = h('p', { class: 'sub', role: 'status', text: ' ' });
  lost = this.figure('lost', 'acknowledged, gone');
  doubled = this.figure('duplicated', 'came more than once');
  arrived = this.figure('arrived', 'read back by a consumer');
  acknowledged = this.figure('acknowledged', 'promised by the log');
  drawn = '';
  operating = false;

  connectedCallback() {
    this.append(this.rows,
      h('div', { class: 'operate' }, this.kill, this.said),
      h('div', { class: 'audit' }, ...[this.acknowledged, this.arrived, this.lost, this.doubled].map((f) => f.node)));
    store.addEventListener('tick', () => this.draw());
  }

  /** @param {string} name @param {string} note */
  figure(name, note) {
    const value = h('strong', { text: '–', id: `audit-${name}` }), sub = h('span', { class: 'sub', text: note });
    return { node: h('div', { class: 'count' }, h('span', { class: 'title', text: name }), value, sub), value, sub };
  }

  draw() {
    const status = store.status;
    const brokers = status?.brokers ?? [];
    // A single broker of somebody else's is no cluster to look at.
    const section = /** @type {HTMLElement} */ (this.closest('section'));
    section.hidden = brokers.length < 2;
    if (!status || section.hidden) return;
    const audit = status.audit;
    say(this.acknowledged.value, int(audit.acknowledged));
    say(this.arrived.value, int(audit.arrived));
    say(this.arrived.sub, audit.waiting > 0 ? `${int(audit.waiting)} on the way to the consumer` : 'read back by a consumer');
    for (const [figure, count] of /** @type {const} */ ([[this.lost, audit.lost], [this.doubled, audit.doubled]])) {
      say(figure.value, int(count));
      figure.node.dataset.state = count === 0 ? 'ok' : 'bad';
    }
    this.drawBrokers(brokers);
  }

  /** @param {import('./store.js').Broker[]} brokers */
  drawBrokers(brokers) {
    this.kill.disabled = !brokers.some((b) => b.leader && b.running);
    const drawing = JSON.stringify(brokers);
    if (drawing === this.drawn) return; // a button that is being pressed stays
    this.drawn = drawing;
    const focused = document.activeElement?.closest('pay-brokers .broker')?.getAttribute('data-id');
    this.rows.replaceChildren(...brokers.map((b) => this.row(b)));
    if (focused) [...this.rows.children].find((row) => row.getAttribute('data-id') === focused)?.querySelector('button')?.focus();
  }

  /** @param {import('./store.js').Broker} b */
  row(b) {
    const state = !b.running ? 'dead' : !b.alive ? 'wait' : b.behind > 0 ? 'behind' : 'ok';
    const words = { dead: 'killed', wait: 'not counted on', behind: `catching up, ${int(b.behind)} behind`, ok: 'in sync' }[state];
    return h('li', { class: 'broker', 'data-state': state, 'data-id': b.id },
      h('span', { class: 'state', 'aria-hidden': 'true' }),
      h('b', { text: `Broker ${b.id}` }),
      h('span', { class: 'sub', text: words }),
      b.controller && b.alive ? h('span', { class: 'tag', text: 'controller' }) : null,
      b.leader && b.alive ? h('span', { class: 'tag', text: 'leads telematics/0' }) : null,
      h('span', { class: 'leads' }, 'leads ', h('strong', { text: int(b.leads) }), h('span', { class: 'sub', text: ` of ${int(b.replicas)}` })),
      b.running ? null : h('button', { class: 'quiet', type: 'button', text: 'Start it again', onclick: () => this.operate(`brokers/${b.id}/start`) }));
  }

  /** One thing at a time: a double click must not kill the next leader too. @param {string} what */
  async operate(what) {
    if (this.operating) return;
    this.operating = true;
    const kills = what === 'kill-leader';
    say(this.said, kills ? 'Killing …' : 'Starting …');
    try {
      const answer = await fetch(`api/${what}`, { method: 'POST' });
      if (!answer.ok) throw new Error((await answer.text()).trim());
      const { broker } = await answer.json();
      say(this.said, kills ? `Broker ${broker} was killed. Another one takes over what it led.` : `Broker ${broker} runs again and catches up.`);
    } catch (error) {
      say(this.said, error instanceof Error ? error.message : String(error));
    } finally {
      this.operating = false;
    }
  }
});
