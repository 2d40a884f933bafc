# What each role may do. The daemon's list is what its adapters call and nothing else; a test reads both.

locals {
  # A build runs with more rights than the daemon has. Whoever holds the daemon's role must not choose its commands, where
  # they come from, what they run in, or their role: each of these, given with a start, is refused. AWS: keys of one
  # condition all have to hold, so each has a statement.
  fixed_by_the_project = {
    NoOtherCommands         = "codebuild:source.buildspec"
    NoOtherSource           = "codebuild:source.location"
    NoMoreSources           = "codebuild:secondarySources"
    NoOtherImage            = "codebuild:environment.image"
    NoPrivilegedBuild       = "codebuild:environment.privilegedMode"
    NoOtherRoleOfTheProject = "codebuild:serviceRole"
  }

  # What every build is given. Any other variable may be one that a shell or a tool in the build obeys.
  given_to_builds = [
    "ACTION", "APP", "HOST_NAME", "INSTANCE_ID", "LAMPLIGHTER_OPERATION_ID", "LAMPLIGHTER_STATE_TABLE", "RESOURCE_NAME",
    "SPEC_HASH", "USER_ID",
  ]

  daemon_statements = concat([
    for more in [var.build_variables] : {
      # AWS: the names are those of the request; one that is not listed is enough.
      Sid      = "NoOtherVariables"
      Effect   = "Deny"
      Action   = "codebuild:StartBuild"
      Resource = "*"
      Condition = {
        "ForAnyValue:StringNotLike" = {
          "codebuild:environment.environmentVariables.name" = concat(local.given_to_builds, more)
        }
      }
    } if more != null
    ], [
    for sid, key in local.fixed_by_the_project : {
      Sid       = sid
      Effect    = "Deny"
      Action    = "codebuild:StartBuild"
      Resource  = "*"
      Condition = { Null = { (key) = "false" } }
    }
    ], [
    {
      # The API writes and deletes rows for its callers.
      Sid      = "Rows"
      Effect   = "Allow"
      Action   = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:Scan", "dynamodb:UpdateItem"]
      Resource = local.table_arns.desired
    },
    {
      # A transaction needs what its parts need, and no action of its own.
      Sid    = "State"
      Effect = "Allow"
      Action = [
        "dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan",
        "dynamodb:UpdateItem",
      ]
      Resource = local.table_arns.state
    },
    {
      # History is only ever added to.
      Sid      = "History"
      Effect   = "Allow"
      Action   = ["dynamodb:PutItem", "dynamodb:Query"]
      Resource = local.table_arns.events
    },
    {
      Sid    = "Builds"
      Effect = "Allow"
      Action = [
        "codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject", "codebuild:StartBuild", "codebuild:StopBuild",
      ]
      Resource = local.project_arns
    },
    {
      # AWS: these two know no resource but a container instance; the cluster is a condition.
      Sid       = "Lists"
      Effect    = "Allow"
      Action    = ["ecs:ListServices", "ecs:ListTasks"]
      Resource  = "*"
      Condition = { ArnEquals = { "ecs:cluster" = local.cluster_arns } }
    },
    {
      Sid      = "Looks"
      Effect   = "Allow"
      Action   = ["ecs:DescribeServices", "ecs:DescribeTasks"]
      Resource = concat(local.service_arns, local.task_arns)
    },
    {
      # Only services that carry the tag of an app: the daemon's own service may be in the same cluster.
      Sid       = "Scales"
      Effect    = "Allow"
      Action    = "ecs:UpdateService"
      Resource  = local.service_arns
      Condition = { Null = { "aws:ResourceTag/lamplighter:instance-id" = "false" } }
    },
    {
      # AWS: these two know no resource at all.
      Sid      = "Routes"
      Effect   = "Allow"
      Action   = ["elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth"]
      Resource = "*"
    },
    ], [
    for statement in [
      {
        # For policy.force_delete_after.
        Sid       = "DeletesLeftovers"
        Effect    = "Allow"
        Action    = "ecs:DeleteService"
        Resource  = local.service_arns
        Condition = { Null = { "aws:ResourceTag/lamplighter:instance-id" = "false" } }
      }
    ] : statement if var.force_delete
  ])

  portal_statements = [
    {
      Sid      = "Rows"
      Effect   = "Allow"
      Action   = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      Resource = local.table_arns.desired
    },
    {
      Sid       = "Status"
      Effect    = "Allow"
      Action    = ["dynamodb:BatchGetItem", "dynamodb:GetItem"]
      Resource  = local.table_arns.state
      Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["app#*"] } }
    },
    {
      Sid      = "History"
      Effect   = "Allow"
      Action   = "dynamodb:Query"
      Resource = local.table_arns.events
    },
  ]

  # Looks at everything that runbooks and `lamplighter simulate --apps live` look at, and changes nothing.
  operator_statements = [
    {
      Sid    = "Tables"
      Effect = "Allow"
      Action = [
        "dynamodb:BatchGetItem", "dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable",
        "dynamodb:DescribeTimeToLive", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan",
      ]
      Resource = values(local.table_arns)
    },
    {
      Sid      = "Builds"
      Effect   = "Allow"
      Action   = ["codebuild:BatchGetBuilds", "codebuild:BatchGetProjects", "codebuild:ListBuildsForProject"]
      Resource = local.project_arns
    },
    {
      Sid       = "Lists"
      Effect    = "Allow"
      Action    = ["ecs:ListServices", "ecs:ListTasks"]
      Resource  = "*"
      Condition = { ArnEquals = { "ecs:cluster" = local.cluster_arns } }
    },
    {
      Sid      = "Looks"
      Effect   = "Allow"
      Action   = ["ecs:DescribeClusters", "ecs:DescribeServices", "ecs:DescribeTasks"]
      Resource = concat(local.cluster_arns, local.service_arns, local.task_arns)
    },
    {
      Sid      = "Routes"
      Effect   = "Allow"
      Action   = ["elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth"]
      Resource = "*"
    },
    {
      Sid    = "Logs"
      Effect = "Allow"
      Action = ["logs:FilterLogEvents", "logs:GetLogEvents"]
      Resource = concat(
        ["arn:${local.partition}:logs:${local.here}:log-group:${local.log_group}:*"],
        [for project in var.projects :
        "arn:${local.partition}:logs:${local.here}:log-group:/aws/codebuild/${project}:*"],
      )
    },
  ]
}
