/** A small invented workspace: its objects and their records. They are the same at every start. */
import type { Field, FieldOption, ObjectInfo } from "../data/metadata";
import type { Row } from "../data/fields";

export const PEOPLE = 1000;
export const COMPANIES = 500;
const OPPORTUNITIES = 60;
const TASKS = 24;

const options = (labels: Record<string, string>): FieldOption[] =>
  Object.entries(labels).map(([value, label], position) => ({ value, label, position, color: "gray" }));

function field(object: string, name: string, label: string, type: string, more: Partial<Field> = {}): Field {
  return {
    id: `${object}-${name}`,
    name,
    label,
    type,
    isActive: true,
    isSystem: false,
    isNullable: true,
    options: null,
    relation: null,
    ...more,
  };
}

const relation = (nameSingular: string, namePlural: string, type = "MANY_TO_ONE"): Partial<Field> => ({
  relation: { type, targetObjectMetadata: { id: nameSingular, nameSingular, namePlural } },
});

function object(
  nameSingular: string,
  namePlural: string,
  labelSingular: string,
  labelPlural: string,
  icon: string,
  own: Field[],
  isSystem = false,
): ObjectInfo {
  return {
    id: nameSingular,
    nameSingular,
    namePlural,
    labelSingular,
    labelPlural,
    icon,
    isActive: true,
    isSystem,
    labelIdentifierFieldMetadataId: own[0]!.id,
    fieldsList: [
      field(nameSingular, "id", "Id", "UUID", { isSystem: true }),
      ...own,
      field(nameSingular, "createdAt", "Created", "DATE_TIME"),
      field(nameSingular, "updatedAt", "Changed", "DATE_TIME"),
      field(nameSingular, "deletedAt", "Deleted", "DATE_TIME"),
      field(nameSingular, "position", "Position", "POSITION", { isSystem: true }),
    ],
  };
}

export const OBJECT_LIST: ObjectInfo[] = [
  object("person", "people", "Person", "People", "IconUser", [
    field("person", "name", "Name", "FULL_NAME"),
    field("person", "emails", "E-mail", "EMAILS"),
    field("person", "company", "Company", "RELATION", relation("company", "companies")),
    field("person", "phones", "Phone", "PHONES"),
    field("person", "jobTitle", "Job title", "TEXT"),
    field("person", "city", "City", "TEXT"),
    field("person", "linkedinLink", "LinkedIn", "LINKS"),
    field("person", "performanceRating", "Rating", "SELECT", {
      options: options({ HIGH: "High", MIDDLE: "Middle", LOW: "Low" }),
    }),
  ]),
  object("company", "companies", "Company", "Companies", "IconBuildingSkyscraper", [
    field("company", "name", "Name", "TEXT"),
    field("company", "domainName", "Domain", "LINKS"),
    field("company", "employees", "Employees", "NUMBER"),
    field("company", "annualRecurringRevenue", "Revenue", "CURRENCY", {
      defaultValue: { amountMicros: null, currencyCode: "'EUR'" },
    }),
    field("company", "idealCustomerProfile", "Ideal customer", "BOOLEAN"),
    field("company", "address", "Address", "ADDRESS"),
    field("company", "tagline", "Tagline", "TEXT", { isNullable: false, defaultValue: "''" }),
    field("company", "founded", "Founded", "DATE"),
    field("company", "workPolicy", "Work policy", "MULTI_SELECT", {
      options: options({ ON_SITE: "On site", HYBRID: "Hybrid", REMOTE: "Remote" }),
    }),
    field("company", "people", "People", "RELATION", relation("person", "people", "ONE_TO_MANY")),
  ]),
  object("opportunity", "opportunities", "Opportunity", "Opportunities", "IconTargetArrow", [
    field("opportunity", "name", "Name", "TEXT"),
    field("opportunity", "amount", "Amount", "CURRENCY"),
    field("opportunity", "stage", "Stage", "SELECT", {
      isNullable: false,
      options: options({ NEW: "New", MEETING: "Meeting", PROPOSAL: "Proposal", CUSTOMER: "Customer" }),
    }),
    field("opportunity", "closeDate", "Close date", "DATE_TIME"),
    field("opportunity", "company", "Company", "RELATION", relation("company", "companies")),
  ]),
  object("task", "tasks", "Task", "Tasks", "IconCheckbox", [
    field("task", "title", "Title", "TEXT"),
    field("task", "status", "Status", "SELECT", {
      options: options({ TODO: "To do", DOING: "In progress", DONE: "Done" }),
    }),
    field("task", "dueAt", "Due", "DATE_TIME"),
  ]),
  object("view", "views", "View", "Views", "IconListNumbers", [field("view", "name", "Name", "TEXT")], true),
];

export type Records = Record<string, Row[]>;

/** New records for each caller, because tests change them. */
export function seed(): Records {
  const companies = Array.from({ length: COMPANIES }, (_, n) => company(n));
  const people = Array.from({ length: PEOPLE }, (_, n) => person(n));
  return {
    company: companies,
    person: people,
    opportunity: Array.from({ length: OPPORTUNITIES }, (_, n) => ({
      ...times(n, 5),
      id: uuid("c", n),
      name: `${pick(["Pilot", "Renewal", "Extension", "Migration"], n)} ${n + 1}`,
      amount: { amountMicros: (5 + ((n * 7) % 90)) * 1_000_000_000, currencyCode: "EUR" },
      stage: pick(["NEW", "MEETING", "PROPOSAL", "CUSTOMER"], n),
      closeDate: at(-n * 3),
      companyId: uuid("b", (n * 11) % COMPANIES),
    })),
    task: Array.from({ length: TASKS }, (_, n) => ({
      ...times(n, 2),
      id: uuid("d", n),
      title: `${pick(["Call", "Write to", "Visit"], n)} ${pick(LAST, n)}`,
      status: pick(["TODO", "DOING", "DONE"], n),
      dueAt: at(-n),
    })),
    view: [],
  };
}

const FIRST = [
  "Ada",
  "Grace",
  "Alan",
  "Edsger",
  "Barbara",
  "Donald",
  "Katherine",
  "Dennis",
  "Radia",
  "Niklaus",
  "Hedy",
  "Claude",
  "Joan",
  "Tony",
  "Mary",
  "Ken",
  "Annie",
  "John",
  "Sophie",
  "Leslie",
];
const LAST = [
  "Lovelace",
  "Hopper",
  "Turing",
  "Dijkstra",
  "Liskov",
  "Knuth",
  "Johnson",
  "Ritchie",
  "Perlman",
  "Wirth",
  "Lamarr",
  "Shannon",
  "Clarke",
  "Hoare",
  "Jackson",
  "Thompson",
  "Easley",
  "Backus",
  "Wilson",
  "Lamport",
  "Hamilton",
  "Conway",
  "Goldberg",
];
const JOBS = ["Engineer", "Buyer", "Director of sales", "Analyst", "Designer", "Head of operations", "Founder"];
const CITIES = ["London", "Berlin", "Lyon", "Porto", "Gdańsk", "Turku", "Ghent", "Bologna"];
const KINDS = ["Works", "Systems", "Logistics", "Labs", "Foods", "Partners", "Instruments"];

function person(n: number): Row {
  const firstName = pick(FIRST, n);
  const lastName = pick(LAST, n);
  return {
    ...times(n, 1),
    id: uuid("a", n),
    name: { firstName, lastName },
    emails: {
      primaryEmail: `${firstName}.${lastName}${n}@example.com`.toLowerCase(),
      additionalEmails: n % 4 === 0 ? [`${firstName}${n}@home.example.com`.toLowerCase()] : null,
    },
    companyId: n % 9 === 8 ? null : uuid("b", (n * 7) % COMPANIES),
    phones: {
      primaryPhoneNumber: String(5550000 + n),
      primaryPhoneCountryCode: "GB",
      primaryPhoneCallingCode: "+44",
      additionalPhones: n % 3 === 0 ? [{ number: String(5560000 + n), callingCode: "+44", countryCode: "GB" }] : null,
    },
    jobTitle: pick(JOBS, n),
    city: pick(CITIES, n * 3),
    linkedinLink: {
      primaryLinkUrl: `example.com/in/${firstName}-${n}`.toLowerCase(),
      primaryLinkLabel: "",
      secondaryLinks: n % 5 === 0 ? [{ url: `example.com/${n}`, label: "Home" }] : null,
    },
    performanceRating: pick(["HIGH", "MIDDLE", "LOW", null], n),
  };
}

function company(n: number): Row {
  const name = `${pick(LAST, n * 5)} ${pick(KINDS, n)}`;
  return {
    ...times(n, 2),
    id: uuid("b", n),
    name,
    domainName: {
      primaryLinkUrl: `${name.toLowerCase().replace(" ", "-")}-${n}.example.com`,
      primaryLinkLabel: "",
      secondaryLinks: null,
    },
    employees: 5 + ((n * 37) % 4000),
    annualRecurringRevenue: { amountMicros: ((n * 13) % 700) * 10_000_000_000, currencyCode: "EUR" },
    idealCustomerProfile: n % 3 === 0,
    address: {
      addressStreet1: `${n + 1} Mill Lane`,
      addressStreet2: n % 6 === 0 ? "Floor 2" : "",
      addressCity: pick(CITIES, n),
      addressPostcode: String(10_000 + n),
      addressState: "",
      addressCountry: "",
      addressLat: n % 7 === 0 ? 51.5 : null,
      addressLng: n % 7 === 0 ? -0.1 : null,
    },
    tagline:
      n % 10 === 0
        ? `Good ${pick(KINDS, n).toLowerCase()}\nsince ${1950 + (n % 70)}`
        : `Good ${pick(KINDS, n).toLowerCase()}`,
    founded: n % 8 === 7 ? null : `${1950 + (n % 70)}-05-01`,
    workPolicy: n % 2 ? ["HYBRID"] : ["ON_SITE", "REMOTE"],
  };
}

const START = Date.UTC(2026, 10, 3, 9, 0);
const HOUR_MS = 3_600_000;
const at = (hours: number) => new Date(START - hours * HOUR_MS).toISOString();
const times = (n: number, every: number) => ({
  createdAt: at(n * every),
  updatedAt: at(n * every),
  deletedAt: null,
  position: n,
});
const pick = <T>(list: readonly T[], n: number): T => list[n % list.length]!;
const uuid = (letter: string, n: number) => `${letter.repeat(8)}-0000-4000-8000-${String(n).padStart(12, "0")}`;
