/** The server's description of its objects and their fields. The application knows no object by name. */
import { gql } from "@apollo/client";

/** A query to the endpoint `metadata`. One page is enough: a workspace has some dozens of objects. */
export const OBJECTS = gql`
  query ObjectMetadataItems {
    objects(paging: { first: 1000 }) {
      edges {
        node {
          id
          nameSingular
          namePlural
          labelSingular
          labelPlural
          icon
          isActive
          isSystem
          labelIdentifierFieldMetadataId
          fieldsList {
            id
            type
            name
            label
            isActive
            isSystem
            isNullable
            defaultValue
            options
            relation {
              type
              targetObjectMetadata {
                id
                nameSingular
                namePlural
              }
            }
          }
        }
      }
    }
  }
`;

export interface FieldOption {
  label: string;
  value: string;
  color?: string | null;
  position?: number;
}

export interface Field {
  id: string;
  type: string;
  name: string;
  label: string;
  isActive?: boolean | null;
  isSystem?: boolean | null;
  isNullable?: boolean | null;
  /** Of new records. Texts stand in single quotes, also inside a composite value: `{ currencyCode: "'EUR'" }`. */
  defaultValue?: unknown;
  options?: FieldOption[] | null;
  relation?: {
    type: string;
    targetObjectMetadata: { id: string; nameSingular: string; namePlural: string };
  } | null;
}

export interface ObjectInfo {
  id: string;
  nameSingular: string;
  namePlural: string;
  labelSingular: string;
  labelPlural: string;
  icon?: string | null;
  isActive: boolean;
  isSystem: boolean;
  labelIdentifierFieldMetadataId?: string | null;
  fieldsList: Field[];
}

export interface ObjectsAnswer {
  objects: { edges: { node: ObjectInfo }[] };
}

/** All objects by singular name, and those to show, in order. */
export interface Schema {
  bySingular: Map<string, ObjectInfo>;
  visible: ObjectInfo[];
}

export function schemaFrom(answer: ObjectsAnswer): Schema {
  const all = answer.objects.edges.map((edge) => edge.node);
  return {
    bySingular: new Map(all.map((object) => [object.nameSingular, object])),
    visible: all.filter((object) => object.isActive && !object.isSystem).sort(byUsualOrder),
  };
}

/** The field whose text names a record. */
export function labelField(object: ObjectInfo): Field | undefined {
  const { fieldsList } = object;
  return (
    fieldsList.find((field) => field.id === object.labelIdentifierFieldMetadataId) ??
    fieldsList.find((field) => field.name === "name") ??
    fieldsList.find((field) => field.name === "title")
  );
}

/** `person` becomes `Person`, as in the server's type names. */
export const typeName = (object: ObjectInfo) => object.nameSingular[0]!.toUpperCase() + object.nameSingular.slice(1);

/** These come first; the others follow in the order of their labels. */
const USUAL = ["person", "company", "opportunity", "task", "note"];

function byUsualOrder(a: ObjectInfo, b: ObjectInfo): number {
  const place = (object: ObjectInfo) => {
    const index = USUAL.indexOf(object.nameSingular);
    return index < 0 ? USUAL.length : index;
  };
  return place(a) - place(b) || a.labelPlural.localeCompare(b.labelPlural);
}
