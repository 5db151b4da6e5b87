/** The fixed queries of the eight panels. Everything else is built from the metadata. */
import { gql, type DocumentNode } from "@apollo/client";
import { count } from "../format";

export interface CurrentUser {
  currentUser: {
    id: string;
    firstName: string;
    lastName: string;
    email: string;
    currentWorkspace: { id: string; displayName: string } | null;
  } | null;
}

export const CURRENT_USER = gql`
  query GetCurrentUser {
    currentUser {
      id
      firstName
      lastName
      email
      currentWorkspace {
        id
        displayName
      }
    }
  }
`;

export interface Panel {
  query: DocumentNode;
  /** Absent: the records' endpoint. */
  endpoint?: "metadata";
  /** The lines that the panel shows. */
  lines: (data: unknown) => string[];
}

interface Names {
  edges: { node: { id: string; name: string | { firstName: string; lastName: string } } }[];
}
const total = (name: string) => (data: unknown) => [
  count((data as Record<string, { totalCount: number }>)[name]!.totalCount),
];
const names = (name: string) => (data: unknown) =>
  (data as Record<string, Names>)[name]!.edges.map(({ node }) =>
    typeof node.name === "string" ? node.name : `${node.name.firstName} ${node.name.lastName}`.trim(),
  );

/** Six queries to the records and two to the metadata: both endpoints share the session. */
export const PANEL_QUERIES: Panel[] = [
  {
    query: gql`
      query PanelPeopleCount {
        people {
          totalCount
        }
      }
    `,
    lines: total("people"),
  },
  {
    query: gql`
      query PanelCompaniesCount {
        companies {
          totalCount
        }
      }
    `,
    lines: total("companies"),
  },
  {
    query: gql`
      query PanelNewestPeople {
        people(first: 3, orderBy: [{ createdAt: DescNullsLast }]) {
          edges {
            node {
              id
              name {
                firstName
                lastName
              }
            }
          }
        }
      }
    `,
    lines: names("people"),
  },
  {
    query: gql`
      query PanelNewestCompanies {
        companies(first: 3, orderBy: [{ createdAt: DescNullsLast }]) {
          edges {
            node {
              id
              name
            }
          }
        }
      }
    `,
    lines: names("companies"),
  },
  {
    query: gql`
      query PanelLargestCompanies {
        companies(first: 3, orderBy: [{ employees: DescNullsLast }]) {
          edges {
            node {
              id
              name
            }
          }
        }
      }
    `,
    lines: names("companies"),
  },
  {
    query: gql`
      query PanelOpportunities {
        opportunities {
          totalCount
        }
      }
    `,
    lines: total("opportunities"),
  },
  {
    query: gql`
      query PanelCurrentUser {
        currentUser {
          id
          firstName
          lastName
          email
        }
      }
    `,
    endpoint: "metadata",
    lines: (data) => {
      const user = (data as CurrentUser).currentUser;
      return user ? [`${user.firstName} ${user.lastName}`.trim(), user.email] : [];
    },
  },
  {
    query: gql`
      query PanelObjects {
        objects(paging: { first: 1000 }) {
          edges {
            node {
              id
            }
          }
        }
      }
    `,
    endpoint: "metadata",
    lines: (data) => [String((data as { objects: { edges: unknown[] } }).objects.edges.length)],
  },
];
