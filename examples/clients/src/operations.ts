/** What every client of this page does: one query and one mutation. Both begin at the same moment. */
export interface Trial {
  /** The e-mail address of the person who is signed in. */
  query: () => Promise<string>;
  /** Makes a person of this first name, and gives the name as the server has it. */
  mutate: (firstName: string) => Promise<string>;
}

export const ME = /* GraphQL */ `
  query Me {
    currentUser {
      id
      email
    }
  }
`;

export interface Me {
  currentUser: { id: string; email: string };
}

export const CREATE = /* GraphQL */ `
  mutation Create($data: PersonCreateInput!) {
    createPerson(data: $data) {
      id
      name {
        firstName
      }
    }
  }
`;

export interface Created {
  createPerson: { id: string; name: { firstName: string } };
}

export interface Creating {
  data: { name: { firstName: string; lastName: string } };
}

/** The variables of {@link CREATE}. */
export function named(firstName: string): Creating {
  return { data: { name: { firstName, lastName: "Example" } } };
}
