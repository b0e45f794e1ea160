// @ts-check
import { arrange, h } from './dom.js';
import { store } from './store.js';
import { clock, fullClock } from './format.js';

const shown = 30;

/** @param {import('./store.js').Event_} e @param {boolean} withDriver */
export function eventRow(e, withDriver) {
  return h('li', { 'data-kind': e.kind, 'data-level': e.level },
    h('span', { class: 'dot', 'aria-hidden': 'true' }),
    h('b', { text: e.kind }),
    withDriver ? h('a', { href: `#driver/${encodeURIComponent(e.driver)}`, text: e.driver }) : null,
    h('span', { class: 'what', text: e.text }),
    h('time', { text: clock(e.t), title: fullClock(e.t) }));
}

customElements.define('pay-events', class extends HTMLElement {
  list = h('ul', { class: 'eventlist', tabindex: '0', 'aria-label': 'Newest driving events' },
    h('li', { class: 'empty', text: 'Nothing yet: harsh braking, acceleration and cornering, and speeding will appear here.' }));
  newest = '';
  /** @type {Map<string, Node>} kept while they are shown: a link in them may have the focus */
  rows = new Map();

  connectedCallback() {
    this.append(this.list);
    store.addEventListener('tick', () => {
      /** @type {string} */
      const newest = store.events[0]?.id ?? '';
      if (newest === this.newest || store.events.length === 0) return;
      this.newest = newest;
      this.rows = new Map(store.events.slice(0, shown).map((e) => [e.id, this.rows.get(e.id) ?? eventRow(e, true)]));
      arrange(this.list, [...this.rows.values()]);
    });
  }
});
