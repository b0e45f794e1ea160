// @ts-check
import { h, svg } from './dom.js';
import { store } from './store.js';
import { colour, dec, eur, int, percent, span, times } from './format.js';
import { eventRow } from './events.js';

/** @typedef {{name:string,factor:number,why:string,basis:string}} Factor */
/** @typedef {{name:string,score:number,weight:number,rate:number,reference:number,unit:string}} Part */
/** @typedef {import('./store.js').Driver & {temper:string,profile:string,km_year:number,parts:Part[],factors:Factor[],events:import('./store.js').Event_[]|null,brakes:number,accels:number,corners:number,guessed:number,speeding_s:number,driving_s:number,night_km:number,records:number,harsh_rows:number,over_rows:number,limit_rows:number,gps_km:number,drives:number,offset:string}} Detail */

const patienceMs = 10000;

customElements.define('pay-driver', class extends HTMLElement {
  body = h('div', { class: 'detail' });
  back = h('button', { class: 'quiet back', type: 'button', text: '← All drivers', onclick: () => store.select(null) });
  rev = -1; // of what is shown
  loading = false;

  connectedCallback() {
    this.append(h('div', { class: 'head' }, this.back), this.body);
    store.addEventListener('select', () => this.open());
    store.addEventListener('tick', () => {
      if (store.selected && store.drivers.get(store.selected)?.rev !== this.rev) this.load(store.selected);
    });
    this.open();
  }

  open() {
    const id = store.selected;
    this.hidden = id === null;
    if (!id) return;
    this.body.replaceChildren(h('p', { class: 'empty', text: 'Loading' }));
    this.body.scrollTop = 0;
    this.rev = -1;
    this.load(id);
    this.back.focus({ preventScroll: true });
  }

  /** @param {string} id */
  async load(id) {
    if (this.loading) return;
    this.loading = true;
    try {
      const response = await fetch(`api/drivers/${encodeURIComponent(id)}`, { signal: AbortSignal.timeout(patienceMs) });
      if (id !== store.selected) return;
      if (response.status === 404) {
        this.body.replaceChildren(h('p', { class: 'empty', text: `There is no premium for ${id} yet. It appears here as soon as there is one.` }));
        return;
      }
      if (!response.ok) throw new Error(response.statusText);
      const detail = await response.json();
      if (id !== store.selected) return;
      this.rev = detail.rev;
      const scrolled = this.body.scrollTop;
      this.body.replaceChildren(...show(detail));
      this.body.scrollTop = scrolled;
    } catch {
      if (!this.body.querySelector('h3')) this.body.replaceChildren(h('p', { class: 'empty', text: 'This driver cannot be read now. Trying again.' }));
    } finally {
      this.loading = false;
      if (store.selected && store.selected !== id) this.load(store.selected);
    }
  }
});

/** @param {Detail} d */
function show(d) {
  return [title(d), price(d), h('h3', { text: 'Why this premium' }), waterfall(d), h('h3', { text: 'Score' }), ...score(d),
    h('h3', { text: 'Measured' }), facts(d), h('h3', { text: 'Latest events' }), events(d),
    h('p', { class: 'sub origin' }, 'In the log at ', h('code', { text: d.offset }))];
}

/** @param {Detail} d */
function title(d) {
  const tags = [h('span', { class: 'tag', 'data-on': d.on, text: d.on ? 'driving' : 'parked' })];
  if (d.sim) tags.push(h('span', { class: 'tag simulated', text: 'simulated' }));
  if (d.temper) tags.push(h('span', { class: 'tag', title: 'What the simulation made of this driver. The insurer does not know it; compare it with the score.', text: `drawn as ${d.temper}` }));
  return h('div', { class: 'title' }, h('h2', { class: 'id', text: d.id }), h('div', { class: 'tags' }, ...tags));
}

/** @param {Detail} d */
function price(d) {
  const change = (d.cents / d.base - 1) * 100;
  return h('div', { class: 'big' }, h('strong', { text: eur(d.cents) }), h('span', { class: 'sub', text: 'a year' }),
    h('span', { class: 'change', 'data-up': String(change > 0), text: percent(change) }),
    h('span', { class: 'sub', text: `against ${eur(d.base)} for an ordinary driver` }));
}

/** Each factor as a step from the ordinary premium to this one. @param {Detail} d */
function waterfall(d) {
  const steps = [];
  let at = d.base;
  for (const f of d.factors) {
    const next = at * f.factor;
    steps.push({ name: f.name, from: at, to: next, label: times(f.factor), why: f.why, basis: f.basis });
    at = next;
  }
  const all = [d.base, d.cents, ...steps.map((s) => s.to)];
  const least = Math.min(...all), most = Math.max(...all), room = Math.max((most - least) * 0.12, d.base * 0.02);
  const low = least - room, high = most + room;
  const share = (/** @type {number} */ v) => (v - low) / (high - low);
  const row = (/** @type {any} */ s) => h('li', { class: s.total ? 'total' : '', 'data-up': String(s.to > s.from) },
    h('span', { class: 'name', text: s.name }),
    h('span', { class: 'lane', '--from': share(Math.min(s.from, s.to)), '--to': share(Math.max(s.from, s.to)) }, h('i')),
    h('span', { class: 'num', text: s.label }),
    s.why ? h('span', { class: 'why' }, s.why, ' ', h('span', { class: 'basis', 'data-basis': s.basis, text: s.basis })) : null);
  return h('ol', { class: 'waterfall' },
    row({ name: 'ordinary', from: low, to: d.base, label: eur(d.base), total: true }),
    ...steps.map(row),
    row({ name: 'premium', from: low, to: d.cents, label: eur(d.cents), total: true }));
}

/** @param {Detail} d */
function score(d) {
  const turn = 2 * Math.PI * 34;
  const ring = svg('svg', { class: 'ring', viewBox: '0 0 80 80', role: 'img', 'aria-label': `Score ${d.score.toFixed(0)} of 100` },
    svg('circle', { cx: 40, cy: 40, r: 34, class: 'rest' }),
    svg('circle', { cx: 40, cy: 40, r: 34, class: 'have', stroke: colour(d.score), 'stroke-dasharray': `${(turn * d.score) / 100} ${turn}` }),
    svg('text', { x: 40, y: 47, text: d.score.toFixed(0) }));
  const parts = h('ul', { class: 'parts' }, ...d.parts.map((p) => h('li', { '--share': p.score / 100, '--colour': colour(p.score) },
    h('span', { class: 'name', text: p.name }), h('span', { class: 'meter', 'aria-hidden': 'true' }), h('b', { class: 'num', text: p.score.toFixed(0) }),
    h('span', { class: 'sub', text: `${dec(p.rate)} ${p.unit}; ordinary ${dec(p.reference)}; counts ${int(p.weight * 100)} %` }))));
  return [h('div', { class: 'scorebox' }, ring, parts)];
}

/** @param {Detail} d */
function facts(d) {
  const rows = [
    ['Window', `${int(d.days)} days${d.sim_days ? `, ${int(d.sim_days)} of them simulated history` : ''}`],
    ['Distance', `${int(d.km)} km, about ${int(d.km_year)} km a year`],
    ['Trips', int(d.trips)],
    ['Harsh', `${int(d.brakes)} braking · ${int(d.accels)} acceleration · ${int(d.corners)} cornering`],
    ['Speeding', `${span(d.speeding_s)} of ${span(d.driving_s)} driving`],
    ['Night', `${dec(d.night_km)} km between 0 and 4 h`],
    ['Messages', `${int(d.records)} records · profile ${d.profile}`],
  ];
  if (d.guessed) rows.push(['Guessed', `${int(d.guessed)} harsh events from GPS alone, not scored`]);
  if (!d.sim) {
    rows.push(['Raw counts', `${int(d.harsh_rows)} harsh records · ${int(d.over_rows)} of ${int(d.limit_rows)} over the limit`]);
    rows.push(['Positions', `${int(d.drives)} drives, ${dec(d.gps_km)} km from GPS alone`]);
  }
  return h('dl', { class: 'facts' }, ...rows.flatMap(([k, v]) => [h('dt', { text: k }), h('dd', { text: v })]));
}

/** @param {Detail} d */
function events(d) {
  if (!d.events?.length) return h('p', { class: 'empty', text: 'None since the page’s data begins.' });
  return h('ul', { class: 'eventlist' }, ...d.events.slice(0, 8).map((e) => eventRow(e, false)));
}
