/* Draws the answer that the page carries in the global `data`: links, actions, fields, and a plain
   form for what the schema lets one set. It uses nothing but the public API. */
(function () {
  'use strict';

  function el(name, attributes, children) {
    var node = document.createElement(name);
    Object.keys(attributes || {}).forEach(function (k) {
      if (k === 'onclick' || k === 'onsubmit') { node[k] = attributes[k]; } else { node.setAttribute(k, attributes[k]); }
    });
    (children || []).forEach(function (c) {
      node.appendChild(typeof c === 'string' ? document.createTextNode(c) : c);
    });
    return node;
  }

  function csrf() {
    var m = /(?:^|; )CSRF=([^;]*)/.exec(document.cookie);
    return m ? m[1] : '';
  }

  function send(method, url, body) {
    var x = new XMLHttpRequest();
    x.open(method, url);
    x.setRequestHeader('Accept', 'application/json');
    x.setRequestHeader('Content-Type', 'application/json');
    x.setRequestHeader('X-API-CSRF', csrf());
    x.onload = function () {
      var answer = null;
      try { answer = JSON.parse(x.responseText); } catch (e) { answer = x.responseText; }
      var next = x.status < 300 && answer && answer.links && (answer.links.self || answer.links.view);
      if (next) {
        location.href = next;
      } else if (x.status < 300) {
        location.reload();
      } else {
        alert(x.status + ' ' + (answer && answer.code) + ' ' + (answer && answer.fieldName || ''));
      }
    };
    x.send(body === undefined ? null : JSON.stringify(body));
  }

  function value(v) {
    if (v === null || v === undefined) { return el('i', { 'class': 'none' }, ['null']); }
    if (typeof v === 'string' && /^https?:\/\//.test(v)) { return el('a', { href: v }, [v]); }
    if (typeof v !== 'object') { return document.createTextNode(String(v)); }
    return el('pre', {}, [JSON.stringify(v, null, 2)]);
  }

  function rows(o, skip) {
    return el('table', {}, Object.keys(o).filter(function (k) { return skip.indexOf(k) < 0; }).map(function (k) {
      return el('tr', {}, [el('th', {}, [k]), el('td', {}, [value(o[k])])]);
    }));
  }

  function buttons(o) {
    var place = el('div', {});
    return el('div', {}, [el('p', {}, Object.keys(o.actions || {}).map(function (k) {
      return el('button', { 'class': 'action', onclick: function () { act(o, k, place); } }, [k]);
    })), place]);
  }

  /* Takes an action at once, or asks first for what it takes. */
  function act(o, name, place) {
    schema(o.type, function (s) {
      var input = (s.resourceActions[name] || {}).input;
      if (!input) { send('POST', o.actions[name], {}); return; }
      schema(input, function (i) {
        var takes = Object.keys(i.resourceFields).some(function (k) { return i.resourceFields[k].create; });
        if (!takes) { send('POST', o.actions[name], {}); return; }
        var asked = form(i, 'create', name, function (body) { send('POST', o.actions[name], body); });
        asked.open = true;
        place.replaceChildren(asked);
      });
    });
  }

  function schema(type, use) {
    var x = new XMLHttpRequest();
    x.open('GET', schemas + '/' + type);
    x.setRequestHeader('Accept', 'application/json');
    x.onload = function () { if (x.status === 200) { use(JSON.parse(x.responseText)); } };
    x.send();
  }

  function at(change) {
    var address = new URL(location.href);
    change(address.searchParams);
    address.searchParams.delete('marker');
    return address.href;
  }

  /* What a list can be filtered by, and by what it is. */
  function filters(s) {
    var names = [];
    Object.keys(s.collectionFilters || {}).sort().forEach(function (k) {
      s.collectionFilters[k].modifiers.forEach(function (m) { names.push(m === 'eq' ? k : k + '_' + m); });
    });
    var which = el('select', { name: 'filter' }, names.map(function (k) { return el('option', {}, [k]); }));
    var what = el('input', { name: 'filter-value' });
    var now = Object.keys(data.filters || {}).filter(function (k) { return data.filters[k]; });
    var none = now.length ? [el('a', { href: at(function (q) { Array.from(q.keys()).forEach(function (k) { q.delete(k); }); }) }, ['all, not by ' + now.join(', ')])] : [];
    return el('form', {
      'class': 'filter', onsubmit: function () {
        location.href = at(function (q) { q.append(which.value, what.value); });
        return false;
      }
    }, [which, what, el('button', {}, ['filter'])].concat(none));
  }

  function sorting() {
    return el('p', { 'class': 'sort' }, ['sort by '].concat(Object.keys(data.sortLinks || {}).sort().map(function (k) {
      return el('a', { href: data.sortLinks[k] }, [k]);
    })));
  }

  function links(o) {
    var pages = Object.assign({}, o.links, looks(o));
    return el('p', { 'class': 'links' }, Object.keys(pages).map(function (k) {
      return el('a', { href: pages[k] }, [k]);
    }));
  }

  /* The pages that show what an instance shows and writes, to who may stop or start it. */
  function looks(o) {
    var may = (o.type === 'container' || o.type === 'virtualMachine') && o.actions && (o.actions.stop || o.actions.start);
    if (!may) { return {}; }
    var pages = { Logs: '/static/logs.html#' + o.id };
    if (o.type === 'virtualMachine' && o.state === 'running') { pages.Screen = '/static/vnc.html#' + o.id; }
    return pages;
  }

  function list(c) {
    var parts = [];
    if (c.pagination && c.pagination.next) { parts.push(el('p', {}, [el('a', { href: c.pagination.next }, ['next page'])])); }
    return el('div', {}, c.data.map(function (o) {
      var self = o.links && o.links.self;
      var title = (o.type || '') + ' ' + (o.id || '') + (o.name ? ' ' + o.name : '') + (o.state ? ' (' + o.state + ')' : '');
      return el('details', {}, [el('summary', {}, [self ? el('a', { href: self }, [title]) : title]), single(o)]);
    }).concat(parts));
  }

  function single(o) {
    return el('div', {}, [links(o), buttons(o), rows(o, ['links', 'actions'])]);
  }

  function parse(field, text) {
    if (/^(array|map|json)/.test(field.type)) { return JSON.parse(text); }
    if (field.type === 'boolean') { return text === 'true'; }
    return text;
  }

  function form(s, flag, title, submit) {
    var inputs = {};
    var names = Object.keys(s.resourceFields).filter(function (k) { return s.resourceFields[k][flag]; });
    var table = el('table', {}, names.map(function (k) {
      var f = s.resourceFields[k];
      inputs[k] = el('input', { name: k, placeholder: f.type + (f['default'] === null ? '' : ' = ' + f['default']) });
      if (flag === 'update' && data[k] !== null && data[k] !== undefined) {
        inputs[k].value = typeof data[k] === 'object' ? JSON.stringify(data[k]) : String(data[k]);
      }
      return el('tr', {}, [el('th', {}, [k + (f.required ? ' *' : '')]), el('td', {}, [inputs[k]])]);
    }));
    return el('details', { 'class': flag }, [el('summary', {}, [title]), el('form', {
      onsubmit: function () {
        var body = {};
        try {
          names.forEach(function (k) { if (inputs[k].value !== '') { body[k] = parse(s.resourceFields[k], inputs[k].value); } });
          submit(body);
        } catch (e) { alert(e.message); }
        return false;
      }
    }, [table, el('button', {}, [title])])]);
  }

  function forms(s, into) {
    var self = data.links && data.links.self;
    if (data.type === 'collection') {
      into.insertBefore(filters(s), into.children[1]);
      into.insertBefore(sorting(), into.children[2]);
      if (s.collectionMethods.indexOf('POST') >= 0) {
        into.appendChild(form(s, 'create', 'create ' + s.id, function (body) { send('POST', self, body); }));
      }
      return;
    }
    if (self && s.resourceMethods.indexOf('PUT') >= 0) {
      into.appendChild(form(s, 'update', 'update', function (body) { send('PUT', self, body); }));
    }
    if (self && s.resourceMethods.indexOf('DELETE') >= 0) {
      into.appendChild(el('p', {}, [el('button', { onclick: function () { if (confirm('Remove this?')) { send('DELETE', self); } } }, ['remove'])]));
    }
  }

  document.addEventListener('DOMContentLoaded', function () {
    var body = document.body;
    var main = el('main', {});
    body.appendChild(el('header', {}, [el('a', { href: schemas.replace(/\/schemas$/, '') }, ['Cattle API']), ' ', el('span', {}, [user])]));
    body.appendChild(main);
    main.appendChild(el('h1', {}, [data.type === 'collection' ? data.resourceType : data.type + ' ' + (data.id || '')]));
    main.appendChild(data.type === 'collection' && data.data ? list(data) : single(data));
    main.appendChild(el('details', {}, [el('summary', {}, ['JSON']), el('pre', {}, [JSON.stringify(data, null, 2)])]));
    schema(data.resourceType || data.type, function (s) { forms(s, main); });
  });
})();
